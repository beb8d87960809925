"""Data files that travel with the package: objectives, and the checksums of what the lab downloads."""
