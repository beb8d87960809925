"""Whether a cluster is whole: one leads, all others stream from it on its timeline, and one is synchronous if it is to.

What is to be is known from Patroni, where there is one, else from `synchronous_standby_names` (which Patroni empties
while there is no standby: then nobody can tell).
"""

import time

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.timescaledb import overview
from chaosdrills.timescaledb.client import ServerError
from chaosdrills.timescaledb.finding import ANY
from chaosdrills.timescaledb.overview import Overview
from chaosdrills.timescaledb.patroni import HEALTHY, LEADER
from chaosdrills.timescaledb.way import Way

POLL_S = 0.2
SYSTEM = "SELECT system_identifier FROM pg_control_system()"


def look(way: Way) -> tuple[Overview, str]:
    """One look, and what it lacks, in words; empty if it is whole. Raises `DrillError` if we are refused."""
    found = overview.look(way.client)
    lacks = [found.lacks(found.waits)]
    if way.patroni is not None:
        try:
            lacks.append(_by_patroni(way, found))
        except UnavailableError as error:
            lacks.append(error.message.rstrip("."))
    return found, "; ".join(part for part in lacks if part)


def wait_whole(way: Way, timeout_s: float) -> Overview:
    """Wait until the cluster is whole; how it is then. Raises `UnavailableError` with what is missing after that."""
    deadline = time.monotonic() + timeout_s
    while True:
        found, lacks = look(way)
        if not lacks:
            return found
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"the PostgreSQL cluster is not whole after {timeout_s:g} s: {lacks}.",
                "look at the logs of Patroni and PostgreSQL; 'chaos drills heal' starts nodes of the lab that a drill "
                "has killed.",
            )
        time.sleep(POLL_S)


def require_one_cluster(way: Way) -> None:
    """Raise `UsageError` if Patroni sees to another cluster than the DSN's: that would be hit, and this one judged."""
    theirs = way.its_patroni.system()
    session = way.client.find(ANY, overview.ASK_S)
    try:
        ours = session.query(SYSTEM, overview.ASK_S)[0][0]
    except ServerError:  # it may not be allowed to say
        return
    finally:
        session.close()
    if theirs and theirs != ours:
        raise UsageError(
            "timescaledb_patroni leads to another cluster than the DSN: nothing was done.",
            "correct one of them (TIMESCALEDB_PATRONI, TIMESCALEDB_DSN).",
        )


def _by_patroni(way: Way, found: Overview) -> str:
    """What is missing by Patroni's word."""
    members = way.its_patroni.members()
    parts = [f"Patroni calls {it.name} {it.state}" for it in members if it.state not in HEALTHY]
    if sum(it.role == LEADER for it in members) != 1:
        parts.append("Patroni has no leader")
    if len(members) < len(found.servers):
        parts.append(f"Patroni knows {len(members)} of {len(found.servers)} servers")
    wanted = way.its_patroni.configuration().get("synchronous_mode") not in (None, False, "off", "false")
    if wanted and not (found.synchronous and any(it.synchronous for it in members)):
        parts.append("no synchronous standby by Patroni's word")
    return "; ".join(parts)
