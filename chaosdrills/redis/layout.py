"""How what a drill writes stands in a Redis: under which keys, and what is in them.

A *layout* of a ledger or of registers is the drill's own (`chaosdrills.redis.keys`), or that of a program whose store
the Redis is: then registers are written and read as that program does it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from chaosdrills.core.history import NO_SEQ
from chaosdrills.observe.payload import Opener
from chaosdrills.redis import keys as names
from chaosdrills.redis.client import Reply, Session

Place = tuple[int, int]
Words = Sequence[str | bytes | int]


class Layout(Protocol):
    """All keys of the drill begin with `prefix`, and no other key does; `described` says in words which they are.

    `pattern` is what an ACL must allow of keys for it.
    """

    pattern: str

    @property
    def prefix(self) -> bytes: ...

    @property
    def described(self) -> str: ...

    def trials(self, key: bytes) -> Mapping[str, Words]:
        """The commands of the layout, by what ACL calls them, on a key that is not there: each does nothing."""

    def tried(self, key: bytes) -> Words:
        """A write of a key, as the drill's are."""

    def place_of(self, key: bytes) -> Place | None:
        """Stream and seq of a ledger's key, register and `NO_SEQ` of a register's; None if it is not of the drill."""

    def values(self, session: Session, keys: Sequence[bytes], timeout_s: float) -> Sequence[Reply]:
        """What stands in each of these keys. Raises `ServerError`."""

    def seq_in(self, stream: int, value: Reply) -> int:
        """The seq of what stands in a key of this stream; `NO_SEQ` if it is not whole."""


class RegisterLayout(Layout, Protocol):
    """The layout of registers, which are called by their numbers."""

    def written(self, register: int, seq: bytes, checksum: bytes, payload: str) -> Words:
        """The one command that writes a register; seq and checksum are decimals."""

    def asked(self, register: int) -> Words:
        """The one command that reads a register: its answer is a value of `seq_in`."""

    def is_nothing(self, value: Reply) -> bool:
        """Whether nothing stands there."""


class OwnLayout:
    """The drill's own, `chaosdrills.redis.keys`: of registers if it `overwrites`, else of a ledger."""

    pattern = f"{names.ROOT}*"

    def __init__(self, drill_id: str, overwrites: bool) -> None:
        self.prefix = names.prefix_of(drill_id).encode()
        self.described = f"the keys {names.prefix_of(drill_id)}*"
        self._drill_id = drill_id
        self._overwrites = overwrites

    def trials(self, key: bytes) -> Mapping[str, Words]:
        """Strings."""
        return {"set": ("SET", key, "", "XX"), "get": ("GET", key), "mget": ("MGET", key)}

    def tried(self, key: bytes) -> Words:
        """SET."""
        return "SET", key, ""

    def place_of(self, key: bytes) -> Place | None:
        """As its name says."""
        place = names.place_of(self.prefix, key)
        return None if place is None or (place[1] == NO_SEQ) != self._overwrites else place

    def values(self, session: Session, keys: Sequence[bytes], timeout_s: float) -> Sequence[Reply]:
        """What stands in each of these keys."""
        found: Sequence[Reply] = session.do("MGET", *keys, timeout_s=timeout_s)
        return found

    def seq_in(self, stream: int, value: Reply) -> int:
        """The seq of a value; `NO_SEQ` if it is not whole."""
        return names.seq_in(value, Opener(self._drill_id, stream))

    def written(self, register: int, seq: bytes, checksum: bytes, payload: str) -> Words:
        """SET of one key."""
        value = names.value_of(seq, checksum, payload.encode())
        return b"SET", names.register_key(self.prefix, register), value

    def asked(self, register: int) -> Words:
        """GET of that."""
        return b"GET", names.register_key(self.prefix, register)

    def is_nothing(self, value: Reply) -> bool:
        """Whether there is no such key."""
        return value is None
