"""The keys of a drill, and what stands in them. Nothing of a drill's is outside its prefix ``chaosdrills:<drill id>:``.

``<prefix>l:<stream>:<seq>`` is one write of a ledger: unique, so that all of them together are a log.
``<prefix>r:<number>`` is a register. A value is ``<seq> <checksum> <payload>``, decimals and letters, sealed as
`chaosdrills.observe.payload` says with the stream's or the register's number.
"""

import re
from collections.abc import Iterable

from chaosdrills.core.history import NO_SEQ
from chaosdrills.observe.payload import Opener

ROOT = "chaosdrills:"
_VALUE = re.compile(rb"(\d{1,18}) (\d{1,10}) ([a-z]*)")


def prefix_of(drill_id: str) -> str:
    """What all keys of a drill begin with."""
    return f"{ROOT}{drill_id}:"


def ledger_key(prefix: bytes, stream: int, seq: int | bytes) -> bytes:
    """The key of one write of a ledger."""
    return b"%bl:%d:%b" % (prefix, stream, seq if isinstance(seq, bytes) else b"%d" % seq)


def register_key(prefix: bytes, number: int) -> bytes:
    """The key of a register."""
    return b"%br:%d" % (prefix, number)


def value_of(seq: bytes, checksum: bytes, payload: bytes) -> bytes:
    """What stands in a key."""
    return b"%b %b %b" % (seq, checksum, payload)


def place_of(prefix: bytes, key: bytes) -> tuple[int, int] | None:
    """The stream and seq that a ledger's key names, or the number of a register and `NO_SEQ`; None for another key."""
    parts = key[len(prefix) :].split(b":")
    if not key.startswith(prefix) or not all(it.isdigit() and len(it) < 19 for it in parts[1:]):
        return None
    if parts[0] == b"l" and len(parts) == 3:
        return int(parts[1]), int(parts[2])
    return (int(parts[1]), NO_SEQ) if parts[0] == b"r" and len(parts) == 2 else None


def seq_in(value: bytes | None, opener: Opener) -> int:
    """The seq of a value; `NO_SEQ` if it is not whole."""
    found = _VALUE.fullmatch(value or b"")
    if found is None or not opener.is_whole(found[1].decode(), found[3].decode(), found[2].decode()):
        return NO_SEQ
    return int(found[1])


def escaped(prefix: bytes) -> bytes:
    """A prefix as SCAN's MATCH takes it."""
    return re.sub(rb"([*?\[\]^\\-])", rb"\\\1", prefix)


def in_batches(keys: Iterable[bytes], size: int) -> Iterable[list[bytes]]:
    """The keys, some at a time."""
    batch: list[bytes] = []
    for key in keys:
        batch.append(key)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
