"""What the load writes: rows of the ledger, each its own, or rows of a register, each written over and over.

Writes are numbers, in the order in which they fall due; number k goes over connection (lane) k mod n.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from chaosdrills.core.history import NS, Ints
from chaosdrills.observe.registers import Registers
from chaosdrills.observe.workload import Page
from chaosdrills.timescaledb import ledger, register
from chaosdrills.timescaledb.arguments import Arguments
from chaosdrills.timescaledb.payload import Seal, filler


class Writing(Protocol):
    """What writes become. `guarded`: the server may answer that it has not applied one. `streams`: how many so far."""

    guarded: bool

    @property
    def streams(self) -> int: ...

    def begin(self, page: Page) -> None:
        """The load begins; new streams are declared on `page`."""

    def statement(self, lane: int) -> str:
        """The statement that a connection of this lane prepares."""

    def take(self, first: int, intended_ns: Sequence[int]) -> None:
        """Writes from number `first` on are due at these instants."""

    def parameters(self, number: int) -> tuple[bytes, ...]:
        """What the statement is sent with, now, for this write."""

    def lost(self, lane: int) -> None:
        """The lane has lost its connection."""

    def settle(self, numbers: Ints) -> tuple[Ints, Ints]:
        """The streams and seqs of writes that have their outcome."""


class LedgerWriting:
    """A stream a connection, which keeps all that is written."""

    guarded = False

    def __init__(self, arguments: Arguments, drill_id: str) -> None:
        self._arguments, self._drill_id = arguments, drill_id
        self._count = arguments.connections
        self.streams = self._count
        payload = filler(arguments.payload_bytes)
        self._seals = [Seal(drill_id, stream, payload) for stream in range(self._count)]

    def begin(self, page: Page) -> None:
        """Its streams are there from the beginning."""

    def statement(self, lane: int) -> str:
        """An insert."""
        return ledger.insert_of(self._arguments.schema, self._drill_id, lane, self._arguments.payload_bytes)

    def take(self, first: int, intended_ns: Sequence[int]) -> None:
        """Nothing is to be kept."""

    def parameters(self, number: int) -> tuple[bytes, ...]:
        """Seq and checksum."""
        row, stream = divmod(number, self._count)
        seq = b"%d" % row
        return seq, self._seals[stream].of(seq)

    def lost(self, lane: int) -> None:
        """The stream goes on over the next connection."""

    def settle(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Write k is seq k // n of stream k mod n."""
        seqs, streams = np.divmod(numbers, self._count)
        return streams, seqs


class RegisterWriting:
    """A stream a row, retired after a while; `registers` are there from the beginning of the load on."""

    guarded = True

    def __init__(self, arguments: Arguments, drill_id: str) -> None:
        self._arguments, self._drill_id = arguments, drill_id
        self._payload = filler(arguments.payload_bytes)
        self._seals: list[tuple[int, Seal]] = [(-1, Seal(drill_id, -1, ""))] * arguments.connections

    @property
    def streams(self) -> int:
        """How many registers there were."""
        return self.registers.count

    def begin(self, page: Page) -> None:
        """Declare the first registers."""
        lanes, retire_ns = self._arguments.connections, round(self._arguments.retire_s * NS)
        self.registers = Registers(lanes, retire_ns, page.new_stream)

    def statement(self, lane: int) -> str:
        """An upsert."""
        return register.upsert_of(self._arguments.schema, self._drill_id, self._arguments.payload_bytes)

    def take(self, first: int, intended_ns: Sequence[int]) -> None:
        """Each gets its place."""
        self.registers.take(first, intended_ns)

    def parameters(self, number: int) -> tuple[bytes, ...]:
        """Key, seq and checksum."""
        key, row = self.registers.sent(number)
        seq = b"%d" % row
        return b"%d" % key, seq, self._seal(number % self._arguments.connections, key).of(seq)

    def lost(self, lane: int) -> None:
        """What is written next may reach another server: it goes to another row."""
        self.registers.retire(lane)

    def settle(self, numbers: Ints) -> tuple[Ints, Ints]:
        """As they were taken."""
        return self.registers.settle(numbers)

    def _seal(self, lane: int, key: int) -> Seal:
        """The seal of the row that the lane writes to, kept for as long as it does."""
        if self._seals[lane][0] != key:
            self._seals[lane] = (key, Seal(self._drill_id, key, self._payload))
        return self._seals[lane][1]
