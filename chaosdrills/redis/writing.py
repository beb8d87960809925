"""What the load writes: keys of a ledger, each its own, or registers, each a key that is written over and over."""

from typing import Protocol

from chaosdrills.observe import sending, writing
from chaosdrills.observe.payload import filler
from chaosdrills.redis import keys
from chaosdrills.redis.arguments import Arguments
from chaosdrills.redis.client import joined
from chaosdrills.redis.layout import RegisterLayout


class Writing(sending.Writing, Protocol):
    """What writes become. `streams`: how many so far."""

    @property
    def streams(self) -> int: ...

    def command(self, number: int) -> bytes:
        """What is sent, now, for this write: one command, which an error keeps from being applied."""


class LedgerWriting(writing.LogWriting):
    """SET of a key that nobody has written before."""

    def __init__(self, arguments: Arguments, drill_id: str) -> None:
        super().__init__(drill_id, arguments.lanes, arguments.payload_bytes)
        prefix = keys.prefix_of(drill_id).encode()
        self._keys = [keys.ledger_key(prefix, lane, b"") for lane in range(arguments.lanes)]
        self._payload = filler(arguments.payload_bytes).encode()

    def command(self, number: int) -> bytes:
        """The write of one key."""
        stream, seq, checksum = self.row(number)
        value = keys.value_of(seq, checksum, self._payload)
        return joined((b"SET", self._keys[stream] + seq, value))


class RegisterWriting(writing.RegisterWriting):
    """The lane's register, written as its layout has it.

    An older write never comes after a newer one: a register has one connection, which Redis serves in turn, and is
    retired with it.
    """

    def __init__(self, arguments: Arguments, drill_id: str, layout: RegisterLayout) -> None:
        super().__init__(drill_id, arguments.lanes, arguments.payload_bytes, arguments.retire_s)
        self._layout = layout
        self._filler = filler(arguments.payload_bytes)

    def command(self, number: int) -> bytes:
        """The next write of a register."""
        register, seq, checksum = self.row(number)
        return joined(self._layout.written(register, seq, checksum, self._filler))
