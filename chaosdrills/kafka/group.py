"""The reads of a drill's consumer group: what its members have seen, and that nobody reads where one is dead.

Members are processes of their own (`chaosdrills.kafka.member`) that tell this thread of the observer ten times a second
what they own and what they have seen. That is noted as it came, with their instants. A partition without news is noted
once a second: `OK`, null, where its owner has looked and found nothing; `FAILED`, null, where nobody has looked, since
its owner was killed, hangs, or the group has not given it to another one yet. So the time that a group takes to
rebalance is stale data, which is what such a drill measures. Two things are the reader's own fault, and leave silence:
that this thread does not run, and that a member ended by itself (`faults`) while nobody has taken over what it read.

Before the members start, the group commits where the drill begins, so that a partition whose owner dies early is read
from there on by the next one: nothing is passed over. What is read twice is no news.
"""

import logging
import os
import secrets
import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from chaosdrills.core.history import NO_SEQ, Outcome
from chaosdrills.errors import DrillError, InternalError, UnavailableError, UsageError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.kafka import consumers
from chaosdrills.kafka.arguments import Arguments, own_name
from chaosdrills.kafka.groups import GroupAdmin
from chaosdrills.kafka.reader import LOOK_NS
from chaosdrills.observe.beside import Beside
from chaosdrills.observe.channel import Channel, ChannelClosed
from chaosdrills.observe.workload import Page

logger = logging.getLogger(__name__)

TICK_S = 0.1
COMMIT_S = 5.0
REMOVE_S = 10.0
LOOPBACK = "127.0.0.1"
_ERRORS = {kind.__name__: kind for kind in (UsageError, UnavailableError, InternalError)}


class Group:
    """The consumer group of a drill. `firsts` are the offsets at which the drill begins, by partition.

    `faults` says which members ended by themselves, and why. `lost` counts those that ended without a word: killed.
    """

    def __init__(self, arguments: Arguments, drill_id: str, firsts: Mapping[int, int]) -> None:
        self.name = own_name(drill_id)
        self.faults: list[str] = []
        self.lost = 0
        self._arguments = arguments
        self._drill_id = drill_id
        self._firsts = firsts
        self._address = f"chaosdrills-{secrets.token_hex(8)}"
        self._reserved: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._lines: dict[int, _Line] = {}
        self._failure: DrillError | None = None
        self._removed = False
        self._page: Page | None = None
        self._noted_ns = dict.fromkeys(firsts, 0)
        self._looked_ns = dict.fromkeys(firsts, 0)
        self._beside = Beside(self._run, "reader")

    def open(self, deadline: float) -> None:
        """Start the members and wait until each owns partitions, and all are owned. Raises `DrillError`."""
        self._commit_firsts(deadline)
        self._reserved = [_reserved_port() for _ in range(self._arguments.consumers)]
        self._listener = _listen(self._address)
        ports = [each.getsockname()[1] for each in self._reserved]
        consumers.start(self.name, self._arguments.topic, len(self._firsts), self._address, ports)
        while not self._settled():
            self._hear()
            if self._failure is not None:
                raise self._failure
            if time.monotonic() >= deadline:
                raise UnavailableError(
                    f"the consumer group {self.name} is not ready in time: {self._lacks()}.",
                    f"look at the consumers' logs in {consumers.log_folder()}, and give it more time.",
                )

    def start(self, page: Page) -> None:
        """Note in `page` from now on, in a thread of its own."""
        self._page = page
        self._noted_ns = dict.fromkeys(self._firsts, boottime_ns())
        self._beside.start()

    def stop(self) -> None:
        """Stop noting, and end the members. Bounded, idempotent."""
        self._beside.stop()
        for line in self._lines.values():
            line.channel.close()
        consumers.end()
        for each in (*self._reserved, *([self._listener] if self._listener else [])):
            each.close()

    def remove(self) -> None:
        """Remove the group from its coordinator, once; while that still counts a dead member, it stays there."""
        if self._removed:
            return
        try:
            GroupAdmin(self._arguments.connection).delete_group(self.name, REMOVE_S)
            self._removed = True
        except DrillError as error:
            logger.warning("the group stays: %s", error)

    def _commit_firsts(self, deadline: float) -> None:
        """Commit where the drill begins: the group has no members yet. Raises `DrillError`."""
        admin = GroupAdmin(self._arguments.consumer_connection)
        while True:
            left_s = deadline - time.monotonic()
            try:
                return admin.commit(self.name, self._arguments.topic, self._firsts, max(1.0, min(left_s, COMMIT_S)))
            except UnavailableError:
                if left_s <= 0:
                    raise
                time.sleep(TICK_S)

    def _run(self) -> None:
        assert self._page is not None
        while not self._beside.stopped():
            self._hear()
            self._note_quiet_ones(boottime_ns())
            self._page.turn()
        self._page.close()

    def _hear(self) -> None:
        """Take what members say, for at most `TICK_S`."""
        assert self._listener is not None
        poller = select.poll()
        for descriptor in (self._listener.fileno(), *self._lines):
            poller.register(descriptor, select.POLLIN)
        for descriptor, _ in poller.poll(TICK_S * 1000):
            if descriptor == self._listener.fileno():
                self._welcome(self._listener)
            else:
                self._hear_line(descriptor)

    def _welcome(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        if _user_of(connection) != os.getuid():
            logger.warning("somebody else's process tried to be a consumer of this drill")
            connection.close()
            return
        self._lines[connection.fileno()] = _Line(Channel(connection))

    def _hear_line(self, descriptor: int) -> None:
        line = self._lines[descriptor]
        try:
            while (message := line.channel.receive(0)) is not None:
                self._take(line, message)
        except ChannelClosed:
            del self._lines[descriptor]
            line.channel.close()
            if line.member and not line.failed:
                self.lost += 1
                logger.warning("consumer %d is gone", line.member)

    def _take(self, line: "_Line", message: Mapping[str, Any]) -> None:
        match message:
            case {"say": "here", "member": int(number)}:
                line.member = number
                line.channel.send(self._orders(number))
            case {"say": "looked", "owns": owns, "seen": seen, "failed": failed}:
                line.owns = frozenset(owns)
                self._take_look(message, seen, line.owns.difference(failed))
            case {"say": "failed", "kind": kind, "message": text, "hint": hint}:
                line.failed = True
                self.faults.append(f"consumer {line.member} ended by itself: {text.rstrip('.')}")
                self._failure = self._failure or _ERRORS.get(kind, InternalError)(text, hint)
                logger.error("%s", self.faults[-1])

    def _take_look(self, message: Mapping[str, Any], seen: list[list[int]], looked: frozenset[int]) -> None:
        for partition in looked:
            self._looked_ns[partition] = message["now_ns"]
        if self._page is not None:
            for partition, seq in seen:
                self._note(partition, seq, message["begun_ns"], message["now_ns"], Outcome.OK)

    def _note_quiet_ones(self, now_ns: int) -> None:
        """Note of each partition that had no news for a second whether anybody looked."""
        owned = frozenset().union(*(line.owns for line in self._lines.values()))
        for partition, noted_ns in self._noted_ns.items():
            if now_ns - noted_ns < LOOK_NS or (self.faults and partition not in owned):
                continue
            looked = now_ns - self._looked_ns[partition] < LOOK_NS
            self._note(partition, NO_SEQ, noted_ns, now_ns, Outcome.OK if looked else Outcome.FAILED)

    def _note(self, partition: int, seq: int, begun_ns: int, now_ns: int, outcome: Outcome) -> None:
        assert self._page is not None
        self._page.read(partition, seq, begun_ns, now_ns, int(outcome))
        self._noted_ns[partition] = now_ns

    def _orders(self, number: int) -> dict[str, Any]:
        """What a member is to do: see `chaosdrills.kafka.member`."""
        connection = self._arguments.consumer_connection
        return {
            "bootstrap_servers": connection.bootstrap_servers,
            "client": connection.client,
            "properties": dict(connection.properties),
            "settings": self._arguments.group_settings,
            "group": self.name,
            "topic": self._arguments.topic,
            "drill_id": self._drill_id,
            "partitions": len(self._firsts),
            "port": self._reserved[number - 1].getsockname()[1],
        }

    def _settled(self) -> bool:
        """Whether every member owns partitions, and every partition has exactly one owner."""
        shares = [line.owns for line in self._lines.values() if line.owns]
        owned = sorted(partition for share in shares for partition in share)
        return len(shares) == self._arguments.consumers and owned == sorted(self._firsts)

    def _lacks(self) -> str:
        here = sorted(line.member for line in self._lines.values() if line.member)
        owners = sorted(line.member for line in self._lines.values() if line.owns)
        return f"of {self._arguments.consumers} consumers {len(here)} run, and {len(owners)} own partitions"


class _Line:
    """One member's connection, and what it said last: the partitions that it owns."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.member = 0
        self.owns: frozenset[int] = frozenset()
        self.failed = False


def _listen(address: str) -> socket.socket:
    """Listen at an abstract Unix socket: it needs no folder, and is gone with this process."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0{address}")
    listener.listen()
    return listener


def _user_of(connection: socket.socket) -> int:
    """The user id of the process at the other end (unix(7), SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _reserved_port() -> socket.socket:
    """A socket that holds a port of 127.0.0.1 without listening: a member of the same user may listen there."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((LOOPBACK, 0))
    return reserved
