"""The Redis workload: writes of keys of its own over several connections, and a reader beside it.

A *ledger* writes unique keys, one stream a connection; with ``"kind": "register"`` keys are written over, as an online
store does, and each is a stream. Both have connections, outcomes and read-back in common, so that an experiment turns
from one to the other by an argument.

Outcomes come from the server's answers (`chaosdrills.redis.outcomes`), survivors from a read-back of every key through
a fresh connection to the primary of then.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaosdrills.core.history import StreamKind
from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.observe.by_sending import BySending
from chaosdrills.observe.log_reader import LogReader
from chaosdrills.observe.register_reader import RegisterReader
from chaosdrills.observe.sending import Sending
from chaosdrills.observe.workload import Opened, Page, Progress, Survivors
from chaosdrills.redis.arguments import NOTHING, REPLICA, Arguments
from chaosdrills.redis.client import Session, versions
from chaosdrills.redis.connecting import Made, ServerConnector
from chaosdrills.redis.finding import PRIMARY, Client
from chaosdrills.redis.info import Info
from chaosdrills.redis.layout import OwnLayout, RegisterLayout
from chaosdrills.redis.line import Line
from chaosdrills.redis.outcomes import confirmed
from chaosdrills.redis.overview import require_no_cluster
from chaosdrills.redis.readback import ReadBack, remove
from chaosdrills.redis.reader import LedgerSource, RegisterSource
from chaosdrills.redis.rights import require_commands, trials
from chaosdrills.redis.watcher import Watcher
from chaosdrills.redis.writing import LedgerWriting, RegisterWriting

logger = logging.getLogger(__name__)

CONNECT_S = 10.0  # a server nobody answers at is told within this, however long the drill would wait
LEAST_S = 1.0
SAY_S = 1.0  # what is left of the time to open, so that the reason is told and not only that it ran out
REMOVE_S = 30.0
ASK_S = 2.0
JOIN_S = 5.0  # replicas that have only just begun to follow confirm nothing at first


class RedisWorkload(BySending[Sending[Made]]):
    """`chaosdrills.observe.workload.Workload` for Redis. Arguments: `chaosdrills.redis.arguments`."""

    def __init__(self, drill_id: str, arguments: Mapping[str, Any]) -> None:
        self._drill_id = drill_id
        self._arguments = given = Arguments.of(arguments)
        self._layout = self.layout()
        self._client = Client(given.where, f"chaosdrills-{drill_id}", given.connect_timeout_s)
        self.stream_kind: StreamKind = "register" if given.overwrites else "log"
        self._writing: LedgerWriting | RegisterWriting
        self._writing = LedgerWriting(given, drill_id)
        if given.overwrites:
            self._writing = RegisterWriting(given, drill_id, self._layout)
        self._connector = ServerConnector(self._client, given.connections)
        lines = [self._line(lane) for lane in range(given.lanes)]
        self._sending = Sending(
            lines, self._writing, self._connector, given.answer_timeout_s if given.watchful else None
        )
        self._watcher: Watcher | None = None
        self._reader: LogReader[Session] | RegisterReader | None = None
        self._read_back: ReadBack | None = None
        self._made = False

    @staticmethod
    def check(given: Mapping[str, Any]) -> None:
        """Look at arguments before a run, for `chaos validate`. Raises `UsageError`; connects to nothing."""
        Arguments.check(given)

    def layout(self) -> RegisterLayout:
        """How what the drill writes stands in the Redis."""
        return OwnLayout(self._drill_id, self._arguments.overwrites)

    def source(self) -> RegisterSource:
        """Where registers are read."""
        return RegisterSource(self._arguments, self._layout, self._client)

    def _line(self, lane: int) -> Line:
        given = self._arguments
        leaves = given.watchful and lane < given.connections
        wait_ms = max(1, round(given.wait_timeout_s * 1000))  # 0 would be for ever
        return Line(lane, given.pipeline, self._writing, given.acknowledged_by, wait_ms, leaves)

    def open(self, timeout_s: float) -> Opened:
        """Find the primary, see whether it takes and confirms writes, and make all connections."""
        deadline = time.monotonic() + timeout_s
        session = self._client.find(PRIMARY, min(timeout_s, CONNECT_S))
        try:
            self._require_rights(session)
            self._watcher = Watcher(self._client, self._client.servers())
            found = self._watcher.look_once(session)
            require_no_cluster(session.address, found.cluster)
            self._try_write(session)
            self._connector.old = session.address
            self._sending.connect(max(LEAST_S, deadline - SAY_S - time.monotonic()))
        finally:
            session.close()
        facts = {**self._arguments.facts(), **versions(), **_facts(found)}
        if self._arguments.overwrites:
            return Opened([], facts, ["writes"] if self._arguments.read_from == NOTHING else ["writes", "reads"])
        return Opened(self._arguments.streams(), facts)

    def begin(self, page: Page, reader_page: Page) -> None:
        """Start what watches the servers, and the reader, if there is to be one."""
        self._made = True
        self._sending.begin(page)
        if self._watcher is not None:
            self._watcher.start()
        if self._arguments.read_from != NOTHING:
            self._reader = self._reader_on(reader_page)
            self._reader.start()

    def _reader_on(self, page: Page) -> LogReader[Session] | RegisterReader:
        given, writing = self._arguments, self._writing
        if isinstance(writing, RegisterWriting):
            patience_s = given.answer_timeout_s
            return RegisterReader(writing.registers, given.reads_per_s, patience_s, self.source(), page)
        logs = LedgerSource(given, self._drill_id, self._client, writing)
        return LogReader(given.lanes, logs, given.read_from == REPLICA, page)

    def trouble(self) -> str:
        """The last trouble of the connections."""
        return self._sending.trouble or self._connector.trouble

    def end_reading(self) -> None:
        """Stop the reader, and what watches the servers."""
        if self._watcher is not None:
            self._watcher.stop()
        if self._reader is not None:
            self._reader.stop()

    def read_back(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        """Read all keys of the drill through a fresh connection."""
        watcher = self._watcher or Watcher(self._client, [])
        self._read_back = ReadBack(self._layout, self._client, watcher, self._writing.streams)
        return self._read_back.run(timeout_s, progress)

    def findings(self) -> Mapping[str, Any]:
        """`keys`, `connections_lost`, `servers` written to, what the watcher found, `foreign` and `damaged` keys."""
        found: dict[str, Any] = {
            "keys": self._layout.described,
            "connections_lost": self._sending.lost,
            "servers": len(set(self._connector.written)),
            **({} if self._watcher is None else self._watcher.findings()),
        }
        if self._made and not self._arguments.keep_keys:
            found["stays"] = self._remains()
        if self._read_back is not None:
            found |= {"foreign": self._read_back.foreign, "damaged": self._read_back.damaged}
        return found

    def checks(self) -> Sequence[tuple[str, bool, str]]:
        """What but a failover has removed keys."""
        return [] if self._watcher is None else self._watcher.checks()

    def close(self, done: bool) -> None:
        """Stop reading and writing; remove the keys of a whole drill if they are not to be kept."""
        self.end_reading()
        self._connector.stop()
        made, self._made = self._made, False
        if not made or self._arguments.keep_keys:
            return
        if not done:
            logger.warning("what the drill wrote stays, as evidence: %s", self._remains())
            return
        try:
            session = self._client.find(PRIMARY, CONNECT_S, patient=True)
            try:
                remove(session, self._layout.prefix, REMOVE_S)
            finally:
                session.close()
        except DrillError as error:
            logger.warning("%s stays: %s", self._remains(), error)

    def _remains(self) -> str:
        return f"{self._layout.described}; SCAN with MATCH finds them and UNLINK removes them"

    def _require_rights(self, session: Session) -> None:
        """Raise `DrillError` if the user may not do what the drill does, or the server does not let anybody now."""
        key, wait = self._layout.prefix + b"rights", self._arguments.acknowledged_by.command
        commands = {**self._layout.trials(key), **trials(key, self._client.application, wait)}
        require_commands(session, commands, self._layout.pattern)

    def _try_write(self, session: Session) -> None:
        """One write, confirmed as the drill's are to be, and removed. Raises `DrillError` for what is in the way."""
        key, acknowledgement = self._layout.prefix + b"open", self._arguments.acknowledged_by
        session.do(*self._layout.tried(key), timeout_s=ASK_S)
        try:
            if acknowledgement.command:
                wait_s = max(self._arguments.wait_timeout_s, JOIN_S)
                words: tuple[str | int, ...] = (acknowledgement.command, *acknowledgement.counts, round(wait_s * 1000))
                answer = session.do(*words, timeout_s=ASK_S + wait_s)
                if not confirmed(answer, acknowledgement.counts):
                    raise UnavailableError(
                        f"{acknowledgement} is answered with {answer} by {session.address}: no write could be "
                        "acknowledged.",
                        "see whether enough replicas follow it; or promise less (the argument acknowledgement).",
                    )
        finally:
            session.do("UNLINK", key, timeout_s=ASK_S)


def _facts(found: Info) -> dict[str, Any]:
    """What decides how durable a write is: no names, no addresses."""
    return {
        "server": f"{found.flavour} {found.version}",
        "replicas": found.replicas,
        "aof": found.aof,
        "maxmemory_policy": found.policy if found.maxmemory else "no maxmemory",
    }
