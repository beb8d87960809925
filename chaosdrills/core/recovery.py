"""Recovery: how long it took until service was restored and stayed restored, and how finely that was seen."""

from dataclasses import dataclass

import numpy as np

from chaosdrills.core.baseline import Baseline, baseline_of
from chaosdrills.core.episodes import Begin, Episode, begins_of, episodes_of
from chaosdrills.core.history import History, to_ns
from chaosdrills.core.intervals import FAR_NS
from chaosdrills.core.load import Load, load_end_ns, load_of
from chaosdrills.core.outages import Outages, outages_of
from chaosdrills.core.parameters import Parameters
from chaosdrills.core.windows import Windows


@dataclass(frozen=True)
class Recovery:
    """What recovery cost, in ns. All None: without a baseline nothing can be compared.

    `begins` and `episodes` are empty where no fault began before the end of load. `actual_ns` is None if nothing was
    measured or some episode is `censored`; `at_least_ns` is then what it took at the least.
    """

    fault_ns: int | None
    load_end_ns: int | None
    baseline: Baseline | None = None
    outages: list[tuple[int, int]] | None = None
    begins: tuple[Begin, ...] = ()
    episodes: tuple[Episode, ...] = ()
    actual_ns: int | None = None
    censored: bool | None = None
    at_least_ns: int | None = None
    resolution_ns: int | None = None
    detection_ns: int | None = None
    first_success_ns: int | None = None


def recovery_of(history: History, parameters: Parameters) -> Recovery:
    """Measure recovery in `history`."""
    load = load_of(history, parameters)
    end_ns = load_end_ns(history, load)
    faults = history.marks_named("fault_begin")
    fault_ns = faults[0] if faults else None
    baseline = None if fault_ns is None else baseline_of(load, fault_ns, parameters)
    if fault_ns is None or baseline is None or end_ns is None:
        return Recovery(fault_ns, end_ns)
    outages = outages_of(baseline.streams)
    begins = begins_of(history, end_ns)
    windows = Windows(load, baseline.streams, outages, [begin.at_ns for begin in begins], parameters)
    episodes = episodes_of(begins, end_ns, windows, outages, parameters.recovery)
    joined = outages.joined()
    actual_ns, censored, at_least_ns = _longest(episodes)
    return Recovery(
        fault_ns,
        end_ns,
        baseline,
        joined,
        tuple(begins),
        tuple(episodes),
        actual_ns,
        censored,
        at_least_ns,
        _resolution_ns(episodes, load, outages, baseline, parameters),
        _detection_ns(load, fault_ns),
        _first_success_ns(joined, fault_ns),
    )


def _longest(episodes: list[Episode]) -> tuple[int | None, bool | None, int | None]:
    if not episodes:
        return None, None, None
    took = max((e.end_ns if e.restored_ns is None else e.restored_ns) - e.begin_ns for e in episodes)
    censored = any(episode.restored_ns is None for episode in episodes)
    return (None, True, took) if censored else (took, False, None)


def _resolution_ns(
    episodes: list[Episode], load: Load, outages: Outages, baseline: Baseline, parameters: Parameters
) -> int:
    """The largest gap; where only throughput dipped (no outage, nothing bad) the larger of it and `stable_s`."""
    gap_ns = baseline.largest_gap_ns
    for episode in episodes:
        end_ns = episode.end_ns if episode.restored_ns is None else episode.restored_ns
        bad = np.searchsorted(load.bad_ns, [episode.begin_ns, end_ns])
        if end_ns > episode.begin_ns and bad[0] == bad[1] and not outages.overlap(episode.begin_ns, end_ns):
            return max(gap_ns, to_ns(parameters.stable_s))
    return gap_ns


def _detection_ns(load: Load, fault_ns: int) -> int | None:
    """From the first fault to the first bad operation invoked from then on."""
    first = np.searchsorted(load.bad_ns, fault_ns)
    return int(load.bad_ns[first]) - fault_ns if first < len(load.bad_ns) else None


def _first_success_ns(outages: list[tuple[int, int]], fault_ns: int) -> int | None:
    """From the first fault to the end of the first outage after it."""
    ends = [end for _, end in outages if end > fault_ns]
    return ends[0] - fault_ns if ends and ends[0] < FAR_NS else None
