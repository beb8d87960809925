"""What the actions do to nodes and undo: choose, hit, heal, fail over, flush. Nothing here knows the Chaos Toolkit.

What needs the driver is imported when it is called: nodes are healed without one.
"""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults import injection, marking
from chaosdrills.faults.command import Command, said
from chaosdrills.faults.healing import alone

if TYPE_CHECKING:
    from chaosdrills.redis.finding import Client

SERVICE = "redis"
POLL_S = 0.05

logger = logging.getLogger("chaostoolkit")


def hit(deed: str, done: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Choose nodes and hit them, as an action was `given`; the lock is held from before anything is looked at.

    Returns `{done: 1, "nodes": "1", "what": ...}`, and the `output` of a command. Raises `DrillError`.
    """
    from chaosdrills.redis import targeting
    from chaosdrills.redis.way import way_of

    client = way_of(given["configuration"], given["secrets"])
    means = targeting.Means.of(given, given["secrets"])
    with alone():
        aimed = targeting.aim(deed, str(given["role"]), int(given["node_id"]), means, client)
        what = " and ".join(aimed.fault.describe(each) for each in aimed.targets)
        logger.info(f"About to hit {', '.join(it.address for it in aimed.chosen)}: {what}")
        result = {done: len(aimed.targets), "nodes": ", ".join(str(it.node_id) for it in aimed.chosen)}
        result["what"] = injection.inject(aimed.fault, aimed.targets)
    if isinstance(aimed.fault, Command):
        result["output"] = "; ".join(filter(None, (said(each, "inject") for each in aimed.targets)))
    return result


def fail_over(client: "Client", coordinated: bool, timeout_s: float) -> dict[str, Any]:
    """A planned failover by Sentinel. Raises `DrillError` if no other server leads within `timeout_s`."""
    from chaosdrills.redis import sentinels

    require_sentinels(client)
    with alone():
        before = leader_of(client)
        what = f"{'coordinated ' if coordinated else ''}failover from {before} by Sentinel"
        with marking.marked(what):
            by = sentinels.fail_over(client, coordinated)
            after = _other_leader(client, before, timeout_s)
    return {"failed_over": 1, "before": before, "after": after, "by": by, "what": what}


def flush_all(client: "Client", allow: str, foreign_ok: bool) -> dict[str, Any]:
    """FLUSHALL on the primary, if `allow` names it. Raises `DrillError`."""
    from chaosdrills.redis import flushing

    with alone():
        session = flushing.primary(client)
        try:
            toll = flushing.allowed(client, session, allow, foreign_ok)
            what = f"FLUSHALL on {toll.address}"
            logger.info(f"About to flush {toll}")
            with marking.marked(what):
                flushing.flush(session)
        finally:
            session.close()
    return {"flushed": 1, "address": toll.address, "keys": toll.keys, "foreign": toll.foreign, "what": what}


def require_sentinels(client: "Client") -> None:
    """Raise `UsageError` unless the URL names sentinels, who alone can fail over."""
    if not client.url.name:
        raise UsageError(
            "a failover is Sentinel's to do, and REDIS_URL names none.", "write redis+sentinel://... there."
        )


def leader_of(client: "Client") -> str:
    """The address of the one primary. Raises `UnavailableError` if there is no such one."""
    from chaosdrills.redis import health

    found, lacks = health.look(client)
    if len(found.primaries) != 1:
        raise UnavailableError(
            f"there is no one primary to fail over from ({lacks}).",
            "run 'chaos drills heal', or wait until it is whole.",
        )
    return found.primaries[0].address


def _other_leader(client: "Client", before: str, timeout_s: float) -> str:
    """Who leads instead of `before`, once another server takes writes and a sentinel says so."""
    from chaosdrills.redis import overview

    deadline = time.monotonic() + timeout_s
    while True:
        found = overview.look(client)
        led = {it.leader for it in found.seeing}
        after = [it.address for it in found.primaries if it.address != before and it.address in led]
        if after:
            return after[0]
        if time.monotonic() >= deadline:
            raise UnavailableError(f"{before} still leads after {timeout_s:g} s.", "look at the sentinels' logs.")
        time.sleep(POLL_S)
