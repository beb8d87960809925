"""The payload of a drill's Kafka messages: it says by itself what it is, and whether it is whole.

Bytes (version 1, integers big-endian), for a drill id of n bytes (1 to 64, UTF-8)::

    0       4  b"CDK1": chaosdrills, Kafka, version 1
    4       4  length of the whole payload in bytes
    8       4  partition it was sent to
    12      1  n
    13      n  drill id
    13+n    .  filler: the bytes 0, 1, 2, ... 255, 0, ... up to the wanted size
    -12     8  seq
    -4      4  CRC-32 (zlib.crc32) of everything before

All but the last twelve bytes are the same for every message of a partition, so sealing one costs a CRC of eight bytes.
"""

import zlib
from collections.abc import Iterable, Sequence
from enum import Enum
from struct import Struct

import numpy as np

from chaosdrills.core.history import Ints
from chaosdrills.errors import UsageError

MAGIC = b"CDK1"
_HEAD = Struct(">4sIIB")
_TAIL = Struct(">QI")
MAX_DRILL_ID_BYTES = 64
MAX_BYTES = 1_000_000  # the broker's default limit of a batch is 1,048,588


class Alien(Enum):
    """What a message is that is not a whole payload of the drill looked for."""

    FOREIGN = "foreign"  # of another drill, or of something else
    DAMAGED = "damaged"  # of this drill, but not as it was written, or not where it was sent


def smallest_bytes(drill_id: str) -> int:
    """The least size (bytes) of a payload of `drill_id`."""
    return _HEAD.size + len(drill_id.encode()) + _TAIL.size


def head(drill_id: str, partition: int, size_bytes: int) -> bytes:
    """The first `size_bytes - 12` bytes of every payload of `drill_id` in `partition`.

    Raises `UsageError` for a size or an id that does not fit.
    """
    name = drill_id.encode()
    if not 1 <= len(name) <= MAX_DRILL_ID_BYTES:
        raise UsageError(f"the drill id {drill_id!r} has {len(name)} bytes.", f"use 1 to {MAX_DRILL_ID_BYTES} bytes.")
    smallest = smallest_bytes(drill_id)
    if not smallest <= size_bytes <= MAX_BYTES:
        raise UsageError(
            f"a payload of {size_bytes} bytes is too {'small' if size_bytes < smallest else 'large'}.",
            f"with this drill id, use {smallest} to {MAX_BYTES} bytes.",
        )
    filler = size_bytes - smallest
    pattern = bytes(range(256)) * (filler // 256 + 1)
    return _HEAD.pack(MAGIC, size_bytes, partition, len(name)) + name + pattern[:filler]


class Sealer:
    """Makes the payloads of one drill and partition."""

    def __init__(self, drill_id: str, partition: int, size_bytes: int) -> None:
        self._head = head(drill_id, partition, size_bytes)
        self._crc = zlib.crc32(self._head)

    def seal(self, seq: int) -> bytes:
        """The payload of `seq`."""
        return self.seal_all(range(seq, seq + 1))[0]

    def seal_all(self, seqs: Iterable[int]) -> list[bytes]:
        """The payloads of `seqs`."""
        head, crc, crc32 = self._head, self._crc, zlib.crc32
        return [
            head + number + crc32(number, crc).to_bytes(4, "big")
            for seq in seqs
            for number in (seq.to_bytes(8, "big"),)
        ]


def where_and_which(payloads: Sequence[bytes], size_bytes: int) -> tuple[Ints, Ints]:
    """The partitions and seqs, int64[n] each, of n payloads of one size that we sealed: nothing is checked."""
    between = f"V{size_bytes - 12 - _TAIL.size}"
    fields = [("begin", "V8"), ("partition", ">u4"), ("between", between), ("seq", ">i8"), ("crc", ">u4")]
    table = np.frombuffer(b"".join(payloads), np.dtype(fields))
    return table["partition"].astype(np.int64), table["seq"].astype(np.int64)


class Opener:
    """Reads the payloads of one drill that lie in one partition."""

    def __init__(self, drill_id: str, partition: int) -> None:
        name = drill_id.encode()
        self._partition = partition
        self._ours = bytes([len(name)]) + name
        self._head = b""
        self._crc = 0

    def open(self, payload: bytes | None) -> int | Alien:
        """The seq in `payload`, or what it is instead."""
        if payload is None:
            return Alien.FOREIGN
        if self._head and payload.startswith(self._head) and len(payload) == len(self._head) + _TAIL.size:
            seq, crc = _TAIL.unpack_from(payload, len(self._head))
            return seq if zlib.crc32(payload[-12:-4], self._crc) == crc else Alien.DAMAGED
        return self._open_slowly(payload)

    def _open_slowly(self, payload: bytes) -> int | Alien:
        """As `open`, for a payload whose head was not seen before."""
        if payload[:4] != MAGIC or not payload.startswith(self._ours, 12):
            return Alien.FOREIGN
        if len(payload) < _HEAD.size + len(self._ours) - 1 + _TAIL.size:
            return Alien.DAMAGED
        _, length, partition, _ = _HEAD.unpack_from(payload)
        seq, crc = _TAIL.unpack_from(payload, len(payload) - _TAIL.size)
        if length != len(payload) or partition != self._partition or zlib.crc32(payload[:-4]) != crc:
            return Alien.DAMAGED
        self._head = payload[:-12]
        self._crc = zlib.crc32(self._head)
        return int(seq)
