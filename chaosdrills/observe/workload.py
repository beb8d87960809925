"""What a service's workload is to the observer, and the words both use for what happened to an operation.

A *workload* sends operations to one service and reports each outcome. It knows streams, seqs, its driver and its
driver's errors; it knows no schedule, no record and no drill. The observer's load thread calls everything but `begin`'s
readers; nothing it calls may block for longer than it was told, except `open` and `read_back`, which are bounded too.

Outcomes are `chaosdrills.core.history.Outcome`: `OK` only for the acknowledgement that was promised, `FAILED` only if
the operation was certainly not applied, `UNKNOWN` for all else.
"""

import importlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chaosdrills.core.history import Ints, StreamKind
from chaosdrills.errors import UsageError

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """A service that a workload has opened: the names of its streams, by index, and facts for the record's header.

    `facts` is a flat JSON object without secrets, host names or paths: settings, versions, ids. `pools` are for
    registers, which come and go (`Page.new_stream`), and are looked at as the judge does: "writes" all together, and
    "reads" if there are any.
    """

    streams: Sequence[str]
    facts: Mapping[str, Any]
    pools: Sequence[str] = ()


@dataclass(frozen=True)
class Survivors:
    """The whole read-back of the stream `stream` (an index), begun at `at_ns`: seqs in the order found.

    `seqs` is an ``array("q")``, `NO_SEQ` where something damaged was found.
    """

    stream: int
    at_ns: int
    seqs: "array[int]"


class Page(Protocol):
    """Where one thread notes what happened. Instants are absolute nanoseconds of CLOCK_BOOTTIME."""

    def write(self, stream: int, seq: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        """Note a write whose outcome is final. `completed_ns` is `NO_TIME` where it was never heard of again."""

    def write_all(self, table: Ints) -> None:
        """Note writes, int64[n, 5]: each row what `write` takes. The table is not to be changed any more."""

    def read(self, stream: int, seq: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        """Note a read; `seq` is the newest one seen, `NO_SEQ` where there was none."""

    def new_stream(self) -> int:
        """Declare one more stream, called by its index, which is returned. Never waits."""

    def turn(self) -> None:
        """Hand over what was noted, if it is time to. Call it several times a second."""

    def close(self) -> None:
        """Hand over what was noted, now."""


class Workload(Protocol):
    """One service under load. Made as ``Class(drill_id, arguments)``, which raises `UsageError` for bad arguments."""

    stream_kind: StreamKind

    def __init__(self, drill_id: str, arguments: Mapping[str, Any]) -> None: ...

    def open(self, timeout_s: float) -> Opened:
        """Connect and make what will be written to. Raises `DrillError` with the reason within `timeout_s`."""

    def begin(self, page: Page, reader_page: Page) -> None:
        """Start readers, which note in `reader_page` from a thread of their own, and be ready to send.

        `page` is for what the load thread notes.
        """

    @property
    def in_flight(self) -> int:
        """How many operations were sent and have no outcome yet."""

    def oldest_in_flight_ns(self) -> int | None:
        """The intended time of the oldest of them; None if there is none."""

    def send(self, intended_ns: Sequence[int]) -> None:
        """Send one operation for each intended time, over the streams in turn. Never blocks.

        What cannot be sent is noted as `FAILED` at once.
        """

    def refuse(self, intended_ns: Sequence[int]) -> None:
        """Note one operation for each intended time, over the streams in turn, as `FAILED` without sending it."""

    def poll(self, timeout_s: float) -> None:
        """Serve outcomes for up to `timeout_s` (under 0.2 s), returning early when there were some.

        Raises `DrillError` if nothing can be sent any more.
        """

    def trouble(self) -> str:
        """The last trouble the driver told of, for messages; empty if there was none. No secrets."""

    def abandon(self) -> None:
        """Give up what is in flight: note each operation with the outcome that is certain then."""

    def end_reading(self) -> None:
        """End the readers that `begin` started. Bounded, idempotent."""

    def read_back(self, timeout_s: float, progress: Progress) -> Iterator[Survivors]:
        """Read every stream to its end through fresh connections, one at a time.

        Raises `DrillError` if the end cannot be reached within `timeout_s`, or loss could not be told from removal.
        """

    def findings(self) -> Mapping[str, Any]:
        """What else was seen, for the result: a flat JSON object (counts of foreign messages, names).

        `stays` says in words what the drill has made and only `close` of one that is done removes, if anything.
        """

    def checks(self) -> Sequence[tuple[str, bool, str]]:
        """What went as it should and what did not, as (name, ok, detail): what a reader of the result must know."""

    def close(self, done: bool) -> None:
        """Disconnect; if the drill was `done`, remove what it made and need not keep. Bounded, idempotent."""


def load_workload(path: str, drill_id: str, arguments: Mapping[str, Any]) -> Workload:
    """Make the workload named by the import path ``module:Class``. Raises `DrillError`."""
    module_name, _, class_name = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"there is no workload {path!r}: {error}.", "name a class as 'module:Class'.") from error
    workload: Workload = kind(drill_id, arguments)
    return workload
