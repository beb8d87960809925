"""What the actions on a Redis would hit now, for `chaos drills preview`: asks who is there, changes nothing."""

from collections.abc import Mapping
from typing import Any

from chaosdrills.core.values import truth
from chaosdrills.errors import DrillError
from chaosdrills.faults.foresight import described, means_of
from chaosdrills.faults.network import FROM
from chaosdrills.redis import deeds, flushing, overview, targeting
from chaosdrills.redis.finding import Client
from chaosdrills.redis.roles import require_role
from chaosdrills.redis.targeting import LAB, Means

DEEDS = {f"{deed}_node": deed for deed in targeting.DEEDS}
FAIL_OVER, FLUSH_ALL = "fail_over", "flush_all"
FAULTS = (*DEEDS, FAIL_OVER, FLUSH_ALL)
HEALS = {"heal_nodes": "undoes every fault on nodes that is outstanding"}
WHO = {
    "primary": "the primary",
    "replica": "a replica that follows",
    "sentinel": "a sentinel",
    "standby": "the replica that Sentinel would promote",
    "sentinels": "so many sentinels that no quorum is left",
    "id": "the node that is named",
}
LAB_ONLY = "nodes of the lab and nothing else"


def look(client: Client, to_come: bool) -> dict[str, Any]:
    """The Redis now: `{"endpoint", "brokers", "noun", "degraded"}`. Raises `DrillError` if we are refused."""
    known = {"endpoint": client.url.addresses, "noun": "servers"}
    if to_come:
        return {**known, "brokers": 3, "degraded": ""}
    found = overview.look(client)
    return {**known, "brokers": len(found.servers), "degraded": found.lacks()}


def foresee(
    func: str, given: Mapping[str, Any], secrets: Mapping[str, Any], client: Client, to_come: bool
) -> dict[str, Any]:
    """What the action `func` (of `FAULTS`), with all its arguments `given`, would do; `to_come`: to a lab to start.

    `{"hits": [{"broker", "noun", "address", "why", "by", "heal", "check"}], "then": "", "bounds": [...], "refused":
    None}`, as `chaosdrills.kafka.preview.foresee` has it. Raises `UsageError` for arguments that cannot be used.
    """
    found: dict[str, Any] = {"hits": [], "then": "", "bounds": [], "refused": None}
    try:
        if func == FAIL_OVER:
            return found | {"then": _planned(client, to_come), "bounds": ["one failover", "it has no heal"]}
        if func == FLUSH_ALL:
            return found | {"then": _flushed(given, client, to_come), "bounds": ["it has no heal: all is gone"]}
        return found | _hit(DEEDS[func], given, secrets, client, to_come)
    except DrillError as error:
        return found | {"refused": error}


def _hit(
    deed: str, given: Mapping[str, Any], secrets: Mapping[str, Any], client: Client, to_come: bool
) -> dict[str, Any]:
    means = Means.of(given, secrets)
    role, node_id = str(given["role"]), int(given["node_id"])
    require_role(role, node_id)
    if to_come and means.target == LAB:
        return {
            "then": f"{WHO[role]}, as it is then; by {means_of(targeting.DEEDS[deed])}{_from(deed, means)} on the lab",
            "bounds": [LAB_ONLY],
        }
    aimed = targeting.aim(deed, role, node_id, means, client)
    pairs = zip(aimed.targets, aimed.chosen, strict=True)
    hits = [described(aimed.fault, target, it.node_id, it.address) for target, it in pairs]
    return {"hits": hits, "bounds": [LAB_ONLY] if means.target == LAB else _bounds(means, len(hits))}


def _planned(client: Client, to_come: bool) -> str:
    """What Sentinel does, if there is one and somebody leads."""
    deeds.require_sentinels(client)
    then = "the leadership: Sentinel hands it over, as planned work"
    return then if to_come else f"{then}; {deeds.leader_of(client)} has it now"


def _flushed(given: Mapping[str, Any], client: Client, to_come: bool) -> str:
    """What would go, if that is allowed."""
    if to_come:
        flushing.require_allowed(client, [], str(given["allow"]), "every key of the lab")
        return "every key of the lab, by FLUSHALL on its primary"
    session = flushing.primary(client)
    try:
        foreign_ok = truth("allow_foreign_keys", given["allow_foreign_keys"])
        return f"{flushing.allowed(client, session, str(given['allow']), foreign_ok)}, by FLUSHALL"
    finally:
        session.close()


def _bounds(means: Means, count: int) -> list[str]:
    degraded = "a degraded Redis too (degraded_ok)" if means.degraded_ok else "no degraded Redis"
    nodes = "one node" if count == 1 else f"{count} nodes"
    return [nodes, degraded, f"{means.timeout_s:g} s for each command (timeout_s)"]


def _from(deed: str, means: Means) -> str:
    """From whom a node is cut off, if not from all."""
    return FROM[means.scope] if deed == "isolate" else ""
