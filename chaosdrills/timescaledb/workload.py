"""The PostgreSQL workload: inserts into a ledger of its own, one stream a connection, and a reader beside it.

With ``"kind": "register"`` it writes rows over instead, as applications that upsert do; each row is a stream. Both have
connections, outcomes and read-back in common, so that an experiment turns from one to the other by an argument.

Outcomes come from the server's answers (`chaosdrills.timescaledb.outcomes`), survivors from a read-back of every row
through a fresh connection to the primary of then.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaosdrills.core.history import StreamKind
from chaosdrills.errors import DrillError
from chaosdrills.observe.by_sending import BySending
from chaosdrills.observe.log_reader import LogReader
from chaosdrills.observe.register_reader import RegisterReader
from chaosdrills.observe.sending import Sending
from chaosdrills.observe.workload import Opened, Page, Progress, Survivors
from chaosdrills.timescaledb import ledger, overview, register
from chaosdrills.timescaledb.arguments import NOTHING, REPLICA, Arguments
from chaosdrills.timescaledb.client import Session, versions
from chaosdrills.timescaledb.connecting import Made, PrimaryConnector
from chaosdrills.timescaledb.failover import Failover
from chaosdrills.timescaledb.finding import PRIMARY, Client
from chaosdrills.timescaledb.line import Line
from chaosdrills.timescaledb.readback import LedgerReadBack, ReadBack, RegisterReadBack
from chaosdrills.timescaledb.reader import LedgerSource
from chaosdrills.timescaledb.register import RegisterSource
from chaosdrills.timescaledb.watcher import Watcher
from chaosdrills.timescaledb.writing import LedgerWriting, RegisterWriting

logger = logging.getLogger(__name__)

CONNECT_S = 10.0  # a server nobody answers at is told within this, however long the drill would wait
LEAST_S = 1.0
SAY_S = 1.0  # what is left of the time to open, so that the reason is told and not only that it ran out
REMOVE_S = 10.0
HIDDEN = "a pooler hides which server a row is written to: the last second before a failover may be lost unseen"


class TimescaleDBWorkload(BySending[Sending[Made]]):
    """`chaosdrills.observe.workload.Workload` for PostgreSQL. Arguments: `chaosdrills.timescaledb.arguments`."""

    def __init__(self, drill_id: str, arguments: Mapping[str, Any]) -> None:
        self._drill_id = drill_id
        self._arguments = Arguments.of(drill_id, arguments)
        self._client = Client(
            self._arguments.where,
            f"chaosdrills {drill_id}"[:63],
            self._arguments.client,
            self._arguments.connect_timeout_s,
        )
        self._overwrites = self._arguments.overwrites
        self.stream_kind: StreamKind = "register" if self._overwrites else "log"
        self._writing: LedgerWriting | RegisterWriting
        self._writing = (RegisterWriting if self._overwrites else LedgerWriting)(self._arguments, drill_id)
        self._connector = PrimaryConnector(self._writing.statement, self._client)
        lines = [Line(it, self._arguments.pipeline, self._writing) for it in range(self._arguments.connections)]
        answer_s = self._arguments.answer_timeout_s if self._arguments.watchful else None
        self._sending = Sending(lines, self._writing, self._connector, answer_s)
        self._watcher: Watcher | None = None
        patroni = self._arguments.its_patroni
        self._failover = Failover(self._client, patroni) if patroni is not None else None
        self._reader: LogReader[Session] | RegisterReader | None = None
        self._read_back: ReadBack | None = None
        self._made = False
        self._hides_loss = False

    @staticmethod
    def check(given: Mapping[str, Any]) -> None:
        """Look at arguments before a run, for `chaos validate`. Raises `UsageError`; connects to nothing."""
        Arguments.check(given)

    def open(self, timeout_s: float) -> Opened:
        """Find the primary, make schema and ledger there, and make all connections."""
        deadline = time.monotonic() + timeout_s
        session = self._client.find(PRIMARY, min(timeout_s, CONNECT_S))
        try:
            overview.require_one_primary(self._client)
            if self._failover is not None:
                self._failover.require_limit()
            logger.info("makes its ledger on %s", session.address)
            ledger.make_schema(session, self._arguments.schema)
            self._made = True
            made = (register if self._overwrites else ledger).make_table(session, self._arguments.schema)
            found = {**self._arguments.facts(), **versions(), **ledger.facts(session), **made}
            self._hides_loss = self._overwrites and found["pooled"]
            self._sending.connect(max(LEAST_S, deadline - SAY_S - time.monotonic()))
        except DrillError:
            self._drop(session)  # nothing is in it
            raise
        finally:
            session.close()
        if self._overwrites:
            return Opened([], found, ["writes"] if self._arguments.read_from == NOTHING else ["writes", "reads"])
        return Opened([str(stream) for stream in range(self._arguments.connections)], found)

    def begin(self, page: Page, reader_page: Page) -> None:
        """Start what watches the servers and the WAL, and the reader, if there is to be one."""
        self._sending.begin(page)
        self._watcher = Watcher(self._client)
        self._watcher.start()
        if self._failover is not None:
            self._failover.start()
        if self._arguments.read_from != NOTHING:
            self._reader = self._reader_on(reader_page)
            self._reader.start()

    def _reader_on(self, page: Page) -> LogReader[Session] | RegisterReader:
        if isinstance(self._writing, RegisterWriting):
            registers, source = self._writing.registers, RegisterSource(self._arguments, self._client)
            rate_per_s, patience_s = self._arguments.reads_per_s, self._arguments.answer_timeout_s
            return RegisterReader(registers, rate_per_s, patience_s, source, page)
        wants_standby = self._arguments.read_from == REPLICA
        logs = LedgerSource(self._arguments, self._client)
        return LogReader(self._arguments.connections, logs, wants_standby, page)

    def trouble(self) -> str:
        """The last trouble of the connections."""
        return self._sending.trouble or self._connector.trouble

    def end_reading(self) -> None:
        """Stop the reader, and what watches the servers and the WAL."""
        if self._watcher is not None:
            self._watcher.stop()
        if self._failover is not None:
            self._failover.stop()
        if self._reader is not None:
            self._reader.stop()

    def read_back(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        """Read the whole table through a fresh connection."""
        kind = RegisterReadBack if self._overwrites else LedgerReadBack
        timelines = self._connector.timelines
        self._read_back = kind(self._arguments, self._drill_id, self._client, timelines, self._writing.streams)
        return self._read_back.run(timeout_s, progress)

    def findings(self) -> Mapping[str, Any]:
        """`schema`, `connections_lost`, the `timelines` that were written to, and `foreign` and `damaged` rows."""
        found: dict[str, Any] = {
            "schema": self._arguments.schema,
            "connections_lost": self._sending.lost,
            "timelines": list(self._connector.timelines),
        }
        if self._made and not self._arguments.keep_schema:
            found["stays"] = ledger.remains(self._arguments.schema)
        if self._read_back is not None:
            found |= {"foreign": self._read_back.foreign, "damaged": self._read_back.damaged}
        return found

    def checks(self) -> Sequence[tuple[str, bool, str]]:
        """Whether what was written to is one history, what looks at all servers found, and what a failover left.

        Behind a pooler nobody sees that a register is written to on another server now, and what that lacks is hidden.
        """
        seen = [] if self._watcher is None else list(self._watcher.checks())
        seen += [("loss can be seen", False, HIDDEN)] if self._hides_loss else []
        seen += [] if self._failover is None else self._failover.checks()
        timelines = self._connector.timelines
        if timelines == sorted(timelines):
            return seen
        shown = ", ".join(map(str, timelines))
        written = ("one history", False, f"timelines {shown} were written to in turn: there were two primaries")
        return [written, *seen]

    def close(self, done: bool) -> None:
        """Stop reading and writing; drop the schema of a whole drill if it is not to be kept."""
        self.end_reading()
        self._connector.stop()
        if not self._made or self._arguments.keep_schema:
            return
        if not done:
            logger.warning("what the drill wrote stays, as evidence: %s", ledger.remains(self._arguments.schema))
            return
        try:
            session = self._client.find(PRIMARY, REMOVE_S, patient=True)
        except DrillError as error:
            logger.warning("the schema %s stays: %s", self._arguments.schema, error)
        else:
            self._drop(session)
            session.close()

    def _drop(self, session: Session) -> None:
        """Remove the schema that was made here; what keeps it from being removed is told."""
        made, self._made = self._made, False
        try:
            if made:
                ledger.drop(session, self._arguments.schema, REMOVE_S)
        except DrillError as error:
            logger.warning("the schema %s stays: %s", self._arguments.schema, error)
