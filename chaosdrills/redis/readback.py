"""The read-back: which of the drill's keys are there after the drill, through a fresh connection to whoever leads then.

Before it reads, all other connections of the drill must be gone: a command that a server has not looked at yet would
turn up later. Then all keys are scanned: SCAN finds every key that is there from its beginning to its end. Keys have no
order, so survivors are given in that of their seqs.

A server that leads no longer at the end, keys that were evicted, and keys that expire, cannot tell what is lost: these
are errors. So are two servers that lead: a sentinel that was cut off names the old one for a while, which still has
what the next one has not. Through Sentinel, it is waited for the end of that.
"""

import logging
import time
from array import array
from collections.abc import Iterator, Sequence

from chaosdrills.core.history import NO_SEQ
from chaosdrills.errors import UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.workload import Progress, Survivors
from chaosdrills.redis import keys
from chaosdrills.redis.client import ConnectionRefused, Reply, ServerError, Session
from chaosdrills.redis.finding import PRIMARY, Client
from chaosdrills.redis.info import Info
from chaosdrills.redis.layout import Layout, Place
from chaosdrills.redis.url import SENTINEL
from chaosdrills.redis.watcher import Watcher, look

logger = logging.getLogger(__name__)

BATCH = 1_000
GONE_S = 2.0
POLL_S = 0.05
SAY_S = 1.0  # what is left of the time, so that it is told what is in the way
DEMOTED_S = 30.0  # a primary that Sentinel has replaced is made a replica some 10 s after it is heard of again


class ReadBack:
    """Reads the keys of a drill. `foreign` counts those that are not of it, `damaged` those that are not whole."""

    def __init__(self, layout: Layout, client: Client, watcher: Watcher, streams: int) -> None:
        self.foreign = 0
        self.damaged = 0
        self._layout = layout
        self._client = client
        self._watcher = watcher
        self._flushes = watcher.flushes  # of before: the drill's checks tell of these
        self._streams = streams

    def run(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        """The survivors of each stream in turn. Raises `DrillError` if the end is not reached in time."""
        deadline = time.monotonic() + timeout_s
        progress("reading back: looking for the primary")
        session = self._only_primary(deadline)
        try:
            logger.info("reads back from %s", session.address)
            before = self._watcher.look_once(session)
            end_others(session, self._client.application, deadline)
            begun_ns = boottime_ns()
            found = self._found(session, deadline, progress)
            self._require_kept(session, before)
            for stream in range(self._streams):
                yield Survivors(stream, begun_ns, array("q", sorted(found.get(stream, ()))))
        finally:
            session.close()

    def _found(self, session: Session, deadline: float, progress: Progress) -> dict[int, list[int]]:
        """The seqs of each stream."""
        found: dict[int, list[int]] = {}
        for places, values in self._scanned(session, deadline, progress):
            for (stream, seq), value in zip(places, values, strict=True):
                held = self._layout.seq_in(stream, value)
                whole = held != NO_SEQ and seq in (NO_SEQ, held)
                self.damaged += not whole
                found.setdefault(stream, []).append(held if whole else NO_SEQ)
        return found

    def _scanned(
        self, session: Session, deadline: float, progress: Progress
    ) -> Iterator[tuple[list[Place], Sequence[Reply]]]:
        """Places and values, some at a time, each place once."""
        known = set[Place]()
        for batch in scan(session, self._layout.prefix, deadline):
            named = {key: place for key in batch if (place := self._place(key)) is not None}
            self.foreign += len(batch) - len(named)
            fresh = {key: place for key, place in named.items() if place not in known}
            known.update(fresh.values())
            if fresh:
                _require_lasting(session, list(fresh), deadline)
                yield list(fresh.values()), self._layout.values(session, list(fresh), _left(deadline))
            progress(f"reading back: {len(known):,} keys")

    def _place(self, key: bytes) -> Place | None:
        place = self._layout.place_of(key)
        return None if place is None or place[0] >= self._streams else place

    def _require_kept(self, session: Session, before: Info) -> None:
        """Raise `UnavailableError` where what is not there may be gone for another reason than a loss."""
        after = self._watcher.look_once(session)
        histories = (before.run_id, before.replication_id), (after.run_id, after.replication_id)
        if not after.leads or histories[0] != histories[1]:
            raise UnavailableError(
                f"{session.address} no longer leads: another server took over while it was read back.",
                "read back again.",
            )
        if self._watcher.flushes > self._flushes:
            raise UnavailableError(
                f"{session.address} was flushed after the drill, before its data was read back.",
                "see who flushes it, and drill again.",
            )
        if self._watcher.evicts:
            raise UnavailableError(
                "keys were evicted, so that a lost write cannot be told from an evicted one.",
                "raise maxmemory, or use a maxmemory-policy that begins with volatile, and drill again.",
            )

    def _only_primary(self, deadline: float) -> Session:
        """A connection to the one that leads. Raises `UnavailableError` if, at last, another server does as well."""
        waited_s = DEMOTED_S if self._client.url.mode == SENTINEL else 0.0
        give_up = min(deadline - SAY_S, time.monotonic() + waited_s)
        while True:
            session = self._client.find(PRIMARY, _left(deadline), patient=True)
            other = self._other_primary(session)
            if not other:
                return session
            session.close()
            if time.monotonic() >= give_up:
                raise UnavailableError(
                    f"two primaries at once: {session.address}, {other}.",
                    "see which of them is meant, and name no other in REDIS_URL; or name sentinels.",
                )
            time.sleep(POLL_S)

    def _other_primary(self, session: Session) -> str:
        """The address of another server that leads, if there is one; one may be known by two addresses."""
        mine = look(session).run_id
        others = (it for it in self._client.servers() if it != session.address)
        return next((it for it in others if self._leads(it, mine)), "")

    def _leads(self, address: str, mine: str) -> bool:
        try:
            session = self._client.at(address)
        except ConnectionRefused:
            return False
        try:
            found = look(session)
            return found.leads and found.run_id != mine
        except ServerError:
            return False
        finally:
            session.close()


def _require_lasting(session: Session, found: Sequence[bytes], deadline: float) -> None:
    """Raise `UnavailableError` if one of these keys is to expire: others may have done so already."""
    left_ms = session.do_all([("PTTL", key) for key in found], _left(deadline))
    if any(it >= 0 for it in left_ms):
        raise UnavailableError(
            "keys of the drill expire, so that a lost write cannot be told from an expired one.",
            "see who sets a time to live on all keys, and leave those of the drill alone.",
        )


def scan(session: Session, prefix: bytes, deadline: float) -> Iterator[list[bytes]]:
    """The keys that begin with `prefix`, some at a time; one may come twice. Raises `DrillError`."""
    cursor = b"0"
    while True:
        pattern = keys.escaped(prefix) + b"*"
        cursor, found = session.do("SCAN", cursor, "MATCH", pattern, "COUNT", BATCH, timeout_s=_left(deadline))
        if found:
            yield found
        if cursor == b"0":
            return


def remove(session: Session, prefix: bytes, timeout_s: float) -> int:
    """Remove all keys that begin with `prefix`; how many. Raises `DrillError`."""
    deadline = time.monotonic() + timeout_s
    return sum(session.do("UNLINK", *batch, timeout_s=_left(deadline)) for batch in scan(session, prefix, deadline))


def end_others(session: Session, name: str, deadline: float) -> None:
    """Wait until no other connection of this name is open, ending those that stay. Raises `DrillError`."""
    mine, since = session.do("CLIENT", "ID", timeout_s=_left(deadline)), time.monotonic()
    while others := [it for it in _clients(session, name, deadline) if it != mine]:
        if time.monotonic() - since > GONE_S:
            for each in others:
                session.try_all([("CLIENT", "KILL", "ID", each)], _left(deadline))
        _left(deadline)
        time.sleep(POLL_S)


def _clients(session: Session, name: str, deadline: float) -> list[int]:
    """The ids of all connections of this name."""
    lines = session.do("CLIENT", "LIST", timeout_s=_left(deadline)).decode(errors="replace").splitlines()
    each = [dict(part.partition("=")[::2] for part in line.split(" ")) for line in lines]
    return [int(it["id"]) for it in each if it.get("name") == name]


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises `UnavailableError` if there are none."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise UnavailableError("the keys were not read in time.", "give it more time, or look at the server.")
    return left_s
