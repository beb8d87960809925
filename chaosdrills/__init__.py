"""chaosdrills: drills that prove recovery, and say what it cost.

A Chaos Toolkit extension. It loses a broker, a primary or a Redis, watches from the client's side, and measures how
long recovery took (RTO) and which acknowledged data is gone (RPO).

Importing this package imports no driver (no confluent-kafka, no psycopg, no redis) and starts nothing. The only thing
here besides the version is `discover`, which ``chaos discover`` calls.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "discover"]


def discover(discover_system: bool = True) -> dict[str, Any]:
    """List every activity of this extension for ``chaos discover --no-install chaosdrills``.

    `discover_system` is part of the Chaos Toolkit's protocol; nothing of the system is looked at.
    """
    from chaosdrills.discovery import discover_all

    return discover_all()
