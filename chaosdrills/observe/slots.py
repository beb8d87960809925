r"""The form of a record: the observer's append-only file of operations and marks.

The file, version 4
-------------------
A record is an array of 32-byte *slots*. All numbers are little-endian; signed ones are two's complement. Every slot
begins with its kind, so that a plain filter by kind over `numpy.memmap(path, SLOT)` is right::

    offset  0  kind          u8
            1  outcome       u8    0 ok, 1 failed, 2 unknown
            2  flags         u16   reserved, 0
            4  stream        u32   index of a stream, in the order of the STREAM slots
            8  invoked_ns    i64   nanoseconds on the record's clock: CLOCK_BOOTTIME, 0 at the header
           16  completed_ns  i64   the same; -2**63: never completed as far as anyone knows
           24  seq           i64   -1: null

What each kind puts there (fields not named are 0):

- 1 WRITE, 2 READ: one operation. A write has a seq from 0 up. A READ of a register carries the newest seq seen, of a
  log the one read, which may stand for older ones read in the same instant, or null.
- 12 POLL: one poll of an endpoint beside the load. `stream` is an index in the order of the POLL_STREAM slots, which
  has nothing to do with that of the STREAM slots; `seq` is -1.
- 14 SAMPLE: one look at a count that somebody else keeps. `stream` is an index in the order of the SAMPLE_STREAM slots;
  `seq` is the count, below 2**40, where the outcome is ok, else -1.
- 3 HEADER, 4 STREAM, 5 MARK, 11 NOTE, 13 POLL_STREAM, 15 SAMPLE_STREAM: the head of a text of `seq` bytes of UTF-8
  JSON, which follow in CONT slots. HEADER: an object with `service`, `stream_kind`, `started_at` and `extra`. STREAM,
  POLL_STREAM and SAMPLE_STREAM: the name, a string; `stream` is its index. MARK: an object with `name` and `label`;
  NOTE: an object with `text`; `invoked_ns` is their instant.
- 6 CONT: 31 bytes of text in bytes 1 to 31, the last one of a text padded with zeros. A text lies in one block.
- 7 FINAL_RUN: a piece of the read-back of `stream`, begun at `invoked_ns`: the `completed_ns` seqs from `seq` on, each
  one more than the one before; where `seq` is -1, as many damaged ones.
- 8 FINAL: closes the read-back of `stream` at `invoked_ns`, which found `seq` seqs in all. Without it its runs do not
  count.
- 9 END: the observer ended in good order at `invoked_ns`. The last slot but its seal.
- 10 SEAL: closes a block of `completed_ns` slots (itself not counted); `invoked_ns` is the block's number, from 0.
  `stream` is the CRC-32 (zlib's) of every byte of the file before this seal.
- 0x89 FILE: slot 0, and only that: 16 bytes ``\x89chaosdrills\r\n\x1a\n``, the version (u64), the size of a slot
  (u64).

Block 0 holds FILE, the HEADER and its text, and nothing else. A block is written with one `write`, so a process killed
at any byte leaves whole blocks and at most one *torn tail*: bytes after the last seal, which a reader drops and
reports. Anything else that does not fit is damage, and an error that names the offset. Marks, notes and the end
are synced to the device, with all that is before them, before the call that writes them returns.

Version 3 is the same without the kinds SAMPLE and SAMPLE_STREAM, version 2 also without POLL and POLL_STREAM, version 1
also without NOTE; all are still read. A note is a remark of somebody who watched: it counts for no figure and no
verdict, and is not exported.

24 h at 1,000 writes/s, 200 reads/s (a reader's polls, coalesced) and 10 blocks/s: 105 million slots, 3.1 GiB.
"""

import json
import struct
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from chaosdrills.core.history import FURTHEST_NS, MOST_COUNT, NO_SEQ, NO_TIME, Bools, Ints, Outcome
from chaosdrills.errors import UsageError

VERSION = 4
READABLE = (1, 2, 3, 4)
MAGIC = b"\x89chaosdrills\r\n\x1a\n"
SLOT_BYTES = 32
CONT_BYTES = SLOT_BYTES - 1

SLOT: Final = np.dtype(
    [
        ("kind", "u1"),
        ("outcome", "u1"),
        ("flags", "<u2"),
        ("stream", "<u4"),
        ("invoked_ns", "<i8"),
        ("completed_ns", "<i8"),
        ("seq", "<i8"),
    ]
)
Slots = npt.NDArray[np.void]
_Column = npt.NDArray[Any]

pack_slot = struct.Struct("<BBHIqqq").pack


class Kind(IntEnum):
    """What a slot is."""

    WRITE = 1
    READ = 2
    HEADER = 3
    STREAM = 4
    MARK = 5
    CONT = 6
    FINAL_RUN = 7
    FINAL = 8
    END = 9
    SEAL = 10
    NOTE = 11
    POLL = 12
    POLL_STREAM = 13
    SAMPLE = 14
    SAMPLE_STREAM = 15
    FILE = 0x89


# the first version with the kind; others are there from 1 on
SINCE: Final = {Kind.NOTE: 2, Kind.POLL: 3, Kind.POLL_STREAM: 3, Kind.SAMPLE: 4, Kind.SAMPLE_STREAM: 4}
STREAM_OF: Final = {Kind.POLL: Kind.POLL_STREAM, Kind.SAMPLE: Kind.SAMPLE_STREAM}  # others are of a STREAM


def file_slot() -> bytes:
    """Slot 0."""
    return MAGIC + struct.pack("<QQ", VERSION, SLOT_BYTES)


def text_slots(kind: Kind, value: Any, stream: int = 0, at_ns: int = 0) -> bytes:
    """The slots of one text: its head, and `value` as JSON in CONT slots."""
    try:
        data = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"the {kind.name.lower()} cannot be recorded: {error}.", "give valid text and finite numbers."
        ) from error
    slots = [pack_slot(kind, 0, 0, stream, at_ns, 0, len(data))]
    for begin in range(0, len(data), CONT_BYTES):
        slots.append(bytes([Kind.CONT]) + data[begin : begin + CONT_BYTES].ljust(CONT_BYTES, b"\0"))
    return b"".join(slots)


def operation_slots(kind: Kind, rows: Ints) -> Slots:
    """Slots for operations of one kind, int64[n, 5]: stream, seq, invoked_ns, completed_ns, outcome."""
    slots = np.zeros(len(rows), SLOT)
    slots["kind"] = kind
    for column, name in enumerate(("stream", "seq", "invoked_ns", "completed_ns", "outcome")):
        slots[name] = rows[:, column]
    return slots


def far(instants_ns: _Column) -> Bools:
    """Which instants are further off than any that can be reckoned with."""
    return np.asarray((instants_ns <= -FURTHEST_NS) | (instants_ns >= FURTHEST_NS))


def unsound(
    kind: Kind,
    streams: int,
    stream: _Column,
    seq: _Column,
    invoked_ns: _Column,
    completed_ns: _Column,
    outcome: _Column,
) -> Bools:
    """Which of n operations, polls or samples of one kind no history with so many `streams` can hold, bool[n]."""
    known = (outcome >= Outcome.OK) & (outcome <= Outcome.UNKNOWN)
    possible = (completed_ns >= invoked_ns) & ~far(completed_ns)
    timely = ~far(invoked_ns) & np.where(completed_ns == NO_TIME, outcome == Outcome.UNKNOWN, possible)
    numbered = seq == NO_SEQ if kind == Kind.POLL else seq >= (0 if kind == Kind.WRITE else NO_SEQ)
    if kind == Kind.SAMPLE:
        numbered = np.where(outcome == Outcome.OK, (seq >= 0) & (seq < MOST_COUNT), seq == NO_SEQ)
    return ~((stream >= 0) & (stream < streams) & numbered & known & timely)


def run_slots(stream: int, at_ns: int, seqs: Ints) -> Slots:
    """FINAL_RUN slots for `seqs` int64[n], n > 0: ascending by one, or all damaged."""
    previous, following = seqs[:-1], seqs[1:]
    damaged = previous == NO_SEQ
    goes_on = np.where(damaged, following == NO_SEQ, following - previous == 1)
    first = np.concatenate(([0], np.flatnonzero(~goes_on) + 1))
    slots = np.zeros(len(first), SLOT)
    slots["kind"] = Kind.FINAL_RUN
    slots["stream"] = stream
    slots["invoked_ns"] = at_ns
    slots["completed_ns"] = np.diff(first, append=len(seqs))
    slots["seq"] = seqs[first]
    return slots
