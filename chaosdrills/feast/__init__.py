"""Feast, whose online store is a Redis: the layout of features there, a repository's settings, and a drill's workload.

Feast itself is never imported: it weighs 590 MB and pins what it needs. Where it has to be asked, it is run in an
environment of its own (`environment`). All else works on bytes: `wire` and `layout` are pure, and are held to
real Feast by tests, both ways. A layer above `chaosdrills.redis`, whose client does the talking. Nothing here imports
the lab.
"""
