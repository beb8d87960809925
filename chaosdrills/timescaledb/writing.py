"""What the load writes: rows of the ledger, each its own, or rows of a register, each written over and over."""

from typing import Protocol

from chaosdrills.observe import sending, writing
from chaosdrills.timescaledb import ledger, register
from chaosdrills.timescaledb.arguments import Arguments


class Writing(sending.Writing, Protocol):
    """What writes become. `guarded`: the server may answer that it has not applied one. `streams`: how many so far."""

    guarded: bool

    @property
    def streams(self) -> int: ...

    def statement(self, lane: int) -> str:
        """The statement that a connection of this lane prepares."""

    def parameters(self, number: int) -> tuple[bytes, ...]:
        """What the statement is sent with, now, for this write."""


class LedgerWriting(writing.LogWriting):
    """Inserts."""

    guarded = False

    def __init__(self, arguments: Arguments, drill_id: str) -> None:
        super().__init__(drill_id, arguments.connections, arguments.payload_bytes)
        self._arguments, self._drill_id = arguments, drill_id

    def statement(self, lane: int) -> str:
        """An insert."""
        return ledger.insert_of(self._arguments.schema, self._drill_id, lane, self._arguments.payload_bytes)

    def parameters(self, number: int) -> tuple[bytes, ...]:
        """Seq and checksum."""
        _, seq, checksum = self.row(number)
        return seq, checksum


class RegisterWriting(writing.RegisterWriting):
    """Upserts."""

    guarded = True

    def __init__(self, arguments: Arguments, drill_id: str) -> None:
        super().__init__(drill_id, arguments.connections, arguments.payload_bytes, arguments.retire_s)
        self._arguments = arguments

    def statement(self, lane: int) -> str:
        """An upsert."""
        return register.upsert_of(self._arguments.schema, self._drill_id, self._arguments.payload_bytes)

    def parameters(self, number: int) -> tuple[bytes, ...]:
        """Key, seq and checksum."""
        key, seq, checksum = self.row(number)
        return b"%d" % key, seq, checksum
