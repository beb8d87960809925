"""Episodes: from a fault, or a later heal, to the next; what each cost, and which are censored.

An episode that is not restored when the next begins, or is then in an outage already longer than its stream's gap, is
joined to it and keeps its own begin: marks inside an outage never shorten its RTO. With `recovery` self, an episode
with a fault in it is censored where its heal would join it: we do not heal ourselves to `met`.
"""

from dataclasses import dataclass

from chaosdrills.core.history import History
from chaosdrills.core.outages import Outages
from chaosdrills.core.parameters import Recovery
from chaosdrills.core.windows import Windows


@dataclass(frozen=True)
class Episode:
    """[begin, end] in ns. `restored_ns`: when service was restored and stayed so; None: censored at `end_ns`."""

    begin_ns: int
    end_ns: int
    restored_ns: int | None


@dataclass(frozen=True)
class Begin:
    """An instant at which an episode begins. `fault`: a fault began at it (else only a heal)."""

    at_ns: int
    fault: bool


def begins_of(history: History, load_end_ns: int) -> list[Begin]:
    """Every fault, and every heal later than the first fault, that begins before the end of load."""
    faults = history.marks_named("fault_begin")
    heals = [at for at in history.marks_named("heal_begin") if faults and at > faults[0]]
    instants = sorted({at for at in faults + heals if at < load_end_ns})
    return [Begin(at, at in set(faults)) for at in instants]


def episodes_of(
    begins: list[Begin], load_end_ns: int, windows: Windows, outages: Outages, recovery: Recovery
) -> list[Episode]:
    """The episodes, joined and censored as `recovery` says."""
    episodes: list[Episode] = []
    begin_ns, fault = 0, False
    joined = False
    for number, begin in enumerate(begins):
        begin_ns = begin_ns if joined else begin.at_ns
        fault = begin.fault or (joined and fault)
        following = begins[number + 1] if number + 1 < len(begins) else None
        end_ns = following.at_ns if following else load_end_ns
        restored = windows.restored_ns(begin_ns, end_ns)
        over = following is None or (restored is not None and not outages.under_way(end_ns))
        joined = not over and (recovery == "healed" or not fault or (following is not None and following.fault))
        if not joined:
            episodes.append(Episode(begin_ns, end_ns, restored if over else None))
    return episodes
