"""What the actions do to nodes and undo: choose, hit, heal, switch over. Nothing here knows the Chaos Toolkit.

What needs the driver is imported when it is called: nodes are healed without one.
"""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import injection, marking
from chaosdrills.faults.command import Command, said
from chaosdrills.faults.healing import alone
from chaosdrills.faults.pause import Pause

if TYPE_CHECKING:
    from chaosdrills.timescaledb.patroni import Patroni
    from chaosdrills.timescaledb.way import Way

SERVICE = "timescaledb"
POLL_S = 0.1

logger = logging.getLogger("chaostoolkit")


def hit(deed: str, done: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Choose a node and hit it, as an action was `given`; the lock is held from before anything is looked at.

    Returns `{done: 1, "node": 1, "what": ...}`, and the `output` of a command. Raises `DrillError`.
    """
    from chaosdrills.timescaledb import targeting
    from chaosdrills.timescaledb.way import way_of

    way = way_of(given["configuration"], given["secrets"])
    means = targeting.Means.of(given, given["secrets"])
    with alone():
        aimed = targeting.aim(deed, str(given["role"]), int(given["node_id"]), means, way)
        what = aimed.fault.describe(aimed.target)
        logger.info(f"About to hit {aimed.chosen.address}: {what}")
        result = {done: 1, "node": aimed.chosen.node_id, "what": injection.inject(aimed.fault, [aimed.target])}
    if isinstance(aimed.fault, Command):
        result["output"] = said(aimed.target, "inject")
    return result


def hold_back(given: Mapping[str, Any]) -> dict[str, Any]:
    """Have the primary of the lab send no more WAL: its walsenders stand still. Raises `DrillError`."""
    from chaosdrills.timescaledb import sender
    from chaosdrills.timescaledb.way import way_of

    with alone():
        targets = sender.targets(way_of(given["configuration"], given["secrets"]))
        fault = Pause()
        what = " and ".join(fault.describe(each) for each in targets)
        logger.info(f"About to hit {what}")
        return {"held": len(targets), "what": injection.inject(fault, targets)}


def switch_over(way: "Way", candidate: str, timeout_s: float) -> dict[str, Any]:
    """A planned switchover. Raises `DrillError` if no other node leads within `timeout_s`."""
    from chaosdrills.timescaledb.health import require_one_cluster

    patroni = way.its_patroni
    with alone():
        require_one_cluster(way)
        before = _leader(patroni)
        if candidate:
            patroni.member(candidate)
        what = f"switchover from {before}" + (f" to {candidate}" if candidate else "")
        with marking.marked(what):
            patroni.switch_over(before, candidate, timeout_s)
            after = _other_leader(patroni, before, timeout_s)
    return {"switched": 1, "before": before, "after": after, "what": what}


def restart(way: "Way", role: str, node_id: int, timeout_s: float) -> dict[str, Any]:
    """A planned restart of PostgreSQL on one node, by Patroni. Raises `DrillError`."""
    with alone():
        name, label = _member_in(way, role, node_id)
        what = f"restart of PostgreSQL on {label}"
        with marking.marked(what):
            said_of_it = way.its_patroni.restart(name, timeout_s)
    return {"restarted": 1, "member": name, "what": what, "said": said_of_it}


def reinitialise(way: "Way", role: str, node_id: int, timeout_s: float) -> dict[str, Any]:
    """Throw a replica's data away and have Patroni copy the leader's. Raises `DrillError`."""
    with alone():
        name, label = _member_in(way, role, node_id)
        what = f"reinitialisation of {label}"
        with marking.marked(what):
            said_of_it = way.its_patroni.reinitialise(name, timeout_s)
    return {"reinitialised": 1, "member": name, "what": what, "said": said_of_it}


def _member_in(way: "Way", role: str, node_id: int) -> tuple[str, str]:
    """Patroni's name of the node in this role, and what a reader calls it."""
    from chaosdrills.timescaledb.roles import choose

    chosen = choose(role, node_id, way, None)
    for member in way.its_patroni.members():
        if member.address == chosen.address:
            return member.name, f"{member.name} ({role.replace('_', ' ')})"
    raise UnavailableError(f"Patroni knows no member at {chosen.address}.", "name servers in the DSN as Patroni does.")


def _leader(patroni: "Patroni") -> str:
    before = [it.name for it in patroni.members() if it.role == "leader"]
    if not before:
        raise UnavailableError("Patroni has no leader to switch over from.", "wait until there is one.")
    return before[0]


def _other_leader(patroni: "Patroni", before: str, timeout_s: float) -> str:
    """Who leads instead of `before`, once somebody does."""
    deadline = time.monotonic() + timeout_s
    while True:
        now = [it.name for it in patroni.members() if it.role == "leader"]
        if now and now != [before]:
            return now[0]
        if time.monotonic() >= deadline:
            raise UnavailableError(f"{before} still leads after {timeout_s:g} s.", "look at Patroni's logs.")
        time.sleep(POLL_S)


def addresses_of(dsn: object) -> str:
    """The servers of an experiment; nothing where it names none, or the driver is not installed."""
    if not isinstance(dsn, str) or not dsn:
        return ""
    try:
        from chaosdrills.timescaledb.dsn import addresses
    except UnavailableError:
        return ""
    return ",".join(sorted(addresses(dsn)))
