"""Check of what cutting a broker off the network needs on this machine."""

from chaosdrills.gameday.checkup import Finding
from chaosdrills.host import packet_filter


def isolation() -> Finding:
    """A broker can be cut off by packet filter; else it is done at a proxy, which needs no rights."""
    trouble = packet_filter.why_not()
    if not trouble:
        return Finding("isolation", "ok", "by packet filter")
    return Finding(
        "isolation",
        "warn",
        f"by a proxy in front of all listeners: no packet filter here, {trouble}",
        "nothing, if that will do; docs/isolation.md says how the two differ.",
    )
