"""The history model: what an observer saw, as columns.

A *history* is a header, operations (writes and reads), polls of endpoints, samples of counts, marks, read-backs
(`Final`) and an end. Operations, polls and samples are kept as numpy columns so that a million of them are judged in a
second; a record file maps onto them.

Times are int64 nanoseconds on the record's clock (CLOCK_BOOTTIME, 0 at the header).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NS = 1_000_000_000
NO_SEQ = -1  # a read that found nothing, or a damaged payload in a read-back
NO_TIME = -(2**63)  # `completed_s` null: never completed as far as anyone knows
MOST_COUNT = 2**40  # of a sample: sums of as many as there are fit into int64
FURTHEST_NS = 2**61  # instants lie within it on either side (73 years): sums and differences of them fit into int64

StreamKind = Literal["log", "register"]
MARK_NAMES = ("fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained")


class Outcome(IntEnum):
    """`OK`: acknowledged as promised. `FAILED`: known not applied. `UNKNOWN`: may be applied."""

    OK = 0
    FAILED = 1
    UNKNOWN = 2


@dataclass(frozen=True)
class Operations:
    """Operations of one kind, as columns of equal length n, in any order.

    `stream` int32[n] indexes `History.streams`; `seq` int64[n] (`NO_SEQ` is null); `invoked_ns` and `completed_ns`
    int64[n] (`NO_TIME` is null); `outcome` uint8[n] of `Outcome`.
    """

    stream: npt.NDArray[np.int32]
    seq: Ints
    invoked_ns: Ints
    completed_ns: Ints
    outcome: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.seq)

    def select(self, chosen: Bools | Ints) -> "Operations":
        """The operations that `chosen` (a mask or indices) picks."""
        return Operations(
            self.stream[chosen],
            self.seq[chosen],
            self.invoked_ns[chosen],
            self.completed_ns[chosen],
            self.outcome[chosen],
        )

    @staticmethod
    def of(rows: list[tuple[int, int, int, int, int]]) -> "Operations":
        """Columns from rows of (stream, seq, invoked_ns, completed_ns, outcome)."""
        table = np.array(rows, dtype=np.int64).reshape(len(rows), 5)
        return Operations(
            table[:, 0].astype(np.int32),
            table[:, 1].copy(),
            table[:, 2].copy(),
            table[:, 3].copy(),
            table[:, 4].astype(np.uint8),
        )


@dataclass(frozen=True)
class Mark:
    """A named instant in the record. `name` is one of `MARK_NAMES`."""

    name: str
    at_ns: int
    label: str = ""


@dataclass(frozen=True)
class Note:
    """A remark that somebody made while the drill ran, and its instant. Nothing is judged by it."""

    at_ns: int
    text: str


@dataclass(frozen=True)
class Final:
    """The whole read-back of one stream at `at_ns`: int64 `seqs` in the order found, `NO_SEQ` where damaged."""

    at_ns: int
    seqs: Ints


@dataclass(frozen=True)
class History:
    """Everything an observer recorded. `finals` maps a stream's index to its read-back.

    `polls` are of endpoints that users need: their `stream` indexes `poll_streams`, names of their own, and their `seq`
    is `NO_SEQ`. They are no load: nothing but availability is judged by them.

    `samples` are looks at counts that others keep, those of a self-healer's restart attempts: their `stream` indexes
    `sample_streams`, names of their own too, and their `seq` is the count, `NO_SEQ` where none was seen.

    `end_ns` is None when the observer died; `warnings` say what was wrong with the file it came from (a torn tail).
    `notes` are in records only: the exchange form leaves them out.
    """

    service: str
    stream_kind: StreamKind
    started_at: str
    streams: tuple[str, ...]
    writes: Operations
    reads: Operations
    marks: tuple[Mark, ...] = ()
    finals: Mapping[int, Final] = field(default_factory=dict)
    end_ns: int | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    poll_streams: tuple[str, ...] = ()
    polls: Operations = field(default_factory=lambda: Operations.of([]))
    sample_streams: tuple[str, ...] = ()
    samples: Operations = field(default_factory=lambda: Operations.of([]))

    def marks_named(self, *names: str) -> list[int]:
        """Instants (ns) of the marks with one of `names`, ascending."""
        return sorted(mark.at_ns for mark in self.marks if mark.name in names)


def by_stream(operations: Operations) -> dict[int, Operations]:
    """Operations split by stream, each ascending by seq then `invoked_ns`."""
    if not len(operations):
        return {}
    order = np.lexsort((operations.invoked_ns, operations.seq, operations.stream))
    numbers, starts = np.unique(operations.stream[order], return_index=True)
    chunks = np.split(order, starts[1:])
    return {int(number): operations.select(chunk) for number, chunk in zip(numbers, chunks, strict=True)}


def to_ns(seconds: float) -> int:
    """Seconds to the nearest nanosecond."""
    return round(seconds * NS)


def to_s(ns: int) -> float:
    """Nanoseconds to seconds."""
    return int(ns) / NS
