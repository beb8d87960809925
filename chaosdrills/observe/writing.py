"""What writes become in the history: each the next of its lane's log, or the next of the register that its lane has.

A service adds how a write is sent. Writes are numbers, in the order in which they fall due; k is of lane k mod n.
Each carries a checksum over whose it is and what it holds (`chaosdrills.observe.payload`).
"""

from collections.abc import Sequence

import numpy as np

from chaosdrills.core.history import NS, Ints
from chaosdrills.observe.payload import Seal, filler
from chaosdrills.observe.registers import Registers
from chaosdrills.observe.workload import Page


class LogWriting:
    """A stream a lane, which keeps all that is written: `chaosdrills.observe.sending.Writing`."""

    def __init__(self, drill_id: str, lanes: int, payload_bytes: int) -> None:
        self.streams = lanes
        self._due = 0
        payload = filler(payload_bytes)
        self._seals = [Seal(drill_id, stream, payload) for stream in range(lanes)]

    def begin(self, page: Page) -> None:
        """Its streams are there from the beginning."""

    def take(self, first: int, intended_ns: Sequence[int]) -> None:
        """Each is the next of its stream."""
        self._due = first + len(intended_ns)

    def newest(self, stream: int) -> int:
        """The newest seq of a stream that was due, -1 before there is one; for any thread."""
        return (self._due - 1 - stream) // self.streams if self._due > stream else -1

    def lost(self, lane: int) -> None:
        """The stream goes on over the next connection."""

    def settle(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Write k is seq k // n of stream k mod n."""
        seqs, streams = np.divmod(numbers, self.streams)
        return streams, seqs

    def row(self, number: int) -> tuple[int, bytes, bytes]:
        """What is sent: stream, and seq and checksum as decimals."""
        row, stream = divmod(number, self.streams)
        seq = b"%d" % row
        return stream, seq, self._seals[stream].of(seq)


class RegisterWriting:
    """A stream a register, retired after a while; `registers` are there from the beginning of the load on."""

    def __init__(self, drill_id: str, lanes: int, payload_bytes: int, retire_s: float) -> None:
        self._drill_id, self._lanes, self._retire_s = drill_id, lanes, retire_s
        self._payload = filler(payload_bytes)
        self._seals: list[tuple[int, Seal]] = [(-1, Seal(drill_id, -1, ""))] * lanes

    @property
    def streams(self) -> int:
        """How many registers there were."""
        return self.registers.count

    def begin(self, page: Page) -> None:
        """Declare the first registers."""
        self.registers = Registers(self._lanes, round(self._retire_s * NS), page.new_stream)

    def take(self, first: int, intended_ns: Sequence[int]) -> None:
        """Each gets its place."""
        self.registers.take(first, intended_ns)

    def lost(self, lane: int) -> None:
        """What is written next may reach another server: it goes to another register."""
        self.registers.retire(lane)

    def settle(self, numbers: Ints) -> tuple[Ints, Ints]:
        """As they were taken."""
        return self.registers.settle(numbers)

    def row(self, number: int) -> tuple[int, bytes, bytes]:
        """What is sent, now: the register, and seq and checksum as decimals."""
        key, row = self.registers.sent(number)
        seq = b"%d" % row
        return key, seq, self._seal(number % self._lanes, key).of(seq)

    def _seal(self, lane: int, key: int) -> Seal:
        """The seal of the register that the lane writes to, kept for as long as it does."""
        if self._seals[lane][0] != key:
            self._seals[lane] = (key, Seal(self._drill_id, key, self._payload))
        return self._seals[lane][1]
