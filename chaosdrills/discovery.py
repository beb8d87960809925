"""What `chaos discover --no-install chaosdrills` lists. Imported only by it, for this loads every activity."""

from typing import Any

ROOMS = ("kafka", "timescaledb", "redis", "observe")
ACTIONS = tuple(f"chaosdrills.{room}.actions" for room in ROOMS)
PROBES = tuple(f"chaosdrills.{room}.probes" for room in ROOMS)


def discover_all() -> dict[str, Any]:
    """Every activity of this extension, in the shape of chaoslib's Discovery.

    Raises chaoslib's DiscoveryFailed if a module cannot be imported.
    """
    from chaoslib.discovery.discover import discover_actions, discover_probes, initialize_discovery_result

    from chaosdrills import __version__

    discovery: dict[str, Any] = initialize_discovery_result("chaosdrills", __version__, "chaosdrills")
    for module in ACTIONS:
        discovery["activities"].extend(discover_actions(module))
    for module in PROBES:
        discovery["activities"].extend(discover_probes(module))
    return discovery
