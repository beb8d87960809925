"""The load that recovery is measured on: writes, and for registers reads too.

*good*: acknowledged within `slow_s` of the intended time. *bad*: any other operation. An *ack* is an acknowledgement
at the instant it completed. Each kind and stream counts for itself; registers are pooled, and so are logs that are too
thin to have a rate of their own (`chaosdrills.core.baseline`).
"""

from dataclasses import dataclass

import numpy as np

from chaosdrills.core.history import Bools, History, Ints, Operations, Outcome, to_ns
from chaosdrills.core.parameters import Parameters


@dataclass(frozen=True)
class Load:
    """Relevant operations ascending by `invoked_ns` (int64[n]).

    `lane` int64[n] numbers (kind, stream); `good` and `ok` bool[n]; `completed_ns` int64[n]. `acks_ns` ascending
    instants of all acks, `bad_ns` ascending intended times of all bad operations. `pooled`: all streams of a kind are
    one (registers); `lanes` is the number of lanes.
    """

    lane: Ints
    invoked_ns: Ints
    completed_ns: Ints
    ok: Bools
    good: Bools
    acks_ns: Ints
    bad_ns: Ints
    lanes: int
    pooled: bool

    def __len__(self) -> int:
        return len(self.invoked_ns)


def load_of(history: History, parameters: Parameters) -> Load:
    """The operations of `history` that recovery is measured on."""
    register = history.stream_kind == "register"
    kinds = [history.writes, history.reads] if register else [history.writes]
    lane = np.concatenate([_lanes(kind, number, register) for number, kind in enumerate(kinds)])
    invoked = np.concatenate([kind.invoked_ns for kind in kinds])
    order = np.argsort(invoked, kind="stable")
    invoked, lane = invoked[order], lane[order]
    completed = np.concatenate([kind.completed_ns for kind in kinds])[order]
    ok = np.concatenate([kind.outcome for kind in kinds])[order] == Outcome.OK
    good = ok & (completed - invoked <= to_ns(parameters.slow_s))
    return Load(
        lane,
        invoked,
        completed,
        ok,
        good,
        np.sort(completed[ok]),
        invoked[~good],
        2 if register else len(history.streams),
        register,
    )


def _lanes(operations: Operations, kind: int, register: bool) -> Ints:
    if register:
        return np.full(len(operations), kind, dtype=np.int64)
    return operations.stream.astype(np.int64)


def load_end_ns(history: History, load: Load) -> int | None:
    """The end of load: the last `load_end` mark, else the last intended time; None without any operation."""
    marks = history.marks_named("load_end")
    if marks:
        return marks[-1]
    return int(load.invoked_ns[-1]) if len(load) else None
