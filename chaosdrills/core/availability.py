"""Availability: for how long users could not reach an endpoint that was polled beside the load.

A poll is *good* if it was `ok` within `slow_s` of its `invoked_s`, else *bad*. A poll stream is *unavailable* from the
`invoked_s` of a bad poll to that of the next, later good one, or to the end of load. What counts is the time of it
between the first fault and the end of load; of several streams the one with most.

The resolution is the longest span between neighbouring polls' `invoked_s` from `baseline_s` before the fault on (the
end of load closes the last), so at least the polling interval: a shorter stop may be unseen.

Polls are never load: no other figure knows of them.
"""

from dataclasses import dataclass

import numpy as np

from chaosdrills.core.freshness import silent
from chaosdrills.core.history import Bools, History, Operations, Outcome, by_stream, to_ns
from chaosdrills.core.intervals import FAR_NS, union
from chaosdrills.core.parameters import Parameters


@dataclass(frozen=True)
class Availability:
    """`actual_ns`: the time of unavailability of the poll stream `stream`, the largest of all; `resolution_ns`.

    Both None where it was not measured; `why` then says why not. `still`: streams that were unavailable when load
    ended, so that nobody saw for how long.
    """

    actual_ns: int | None = None
    resolution_ns: int | None = None
    stream: str = ""
    still: tuple[str, ...] = ()
    why: str = ""


def availability_of(
    history: History, fault_ns: int | None, load_end_ns: int | None, parameters: Parameters
) -> Availability:
    """Measure what users saw from `fault_ns` to `load_end_ns`; a stream that was not measured leaves nothing known."""
    if not history.poll_streams:
        return Availability(why="no endpoint was polled")
    if fault_ns is None:
        return Availability(why="without a fault there is no unavailability to measure")
    if load_end_ns is None or load_end_ns <= fault_ns:
        return Availability(why="the fault began at or after the end of load")
    span, by_number = (fault_ns, load_end_ns), by_stream(history.polls)
    measured = [
        _measured(name, by_number.get(number, Operations.of([])), span, parameters)
        for number, name in enumerate(history.poll_streams)
    ]
    unknown = next((one for one in measured if one.why), None)
    if unknown is not None:
        return unknown
    worst = max(measured, key=lambda one: one.actual_ns or 0)
    resolution_ns = max(one.resolution_ns or 0 for one in measured)
    still = tuple(name for one in measured for name in one.still)
    return Availability(worst.actual_ns, resolution_ns, worst.stream, still)


def is_good(polls: Operations, slow_ns: int) -> Bools:
    """Which polls are good, bool[n]."""
    return np.asarray((polls.outcome == Outcome.OK) & (polls.completed_ns - polls.invoked_ns <= slow_ns))


def unavailable(polls: Operations, slow_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """When the stream of `polls` (ascending by `invoked_ns`) was unavailable, in spans up to `end_ns`, ascending."""
    good = is_good(polls, slow_ns)
    good_ns, bad_ns = polls.invoked_ns[good], polls.invoked_ns[~good]
    following = np.append(good_ns, FAR_NS)[np.searchsorted(good_ns, bad_ns, side="right")]
    until_ns = np.minimum(following, end_ns)
    seen = until_ns > bad_ns
    ends_ns, first = np.unique(until_ns[seen], return_index=True)  # all up to one end begin with the first of them
    return union(bad_ns[seen][first], ends_ns)


def _measured(name: str, polls: Operations, span: tuple[int, int], parameters: Parameters) -> Availability:
    """What one stream's `polls`, ascending, say of the time between the ends of `span`."""
    (begin_ns, end_ns), slow_ns = span, to_ns(parameters.slow_s)
    from_ns = begin_ns - to_ns(parameters.baseline_s)
    good_ns = polls.invoked_ns[is_good(polls, slow_ns)]
    if not np.any((good_ns >= from_ns) & (good_ns < begin_ns)):
        return Availability(why=f"the endpoint {name} was not seen good in the baseline before the fault")
    if silent(polls, span, to_ns(parameters.fresh_s)):
        return Availability(why=f"the endpoint {name} was not polled for over {parameters.fresh_s:g} s")
    spans = unavailable(polls, slow_ns, end_ns)
    actual_ns = sum(max(0, until - max(since, begin_ns)) for since, until in spans)
    inside = polls.invoked_ns[(polls.invoked_ns >= from_ns) & (polls.invoked_ns < end_ns)]
    resolution_ns = int(np.diff(inside, append=end_ns).max())
    ends_bad = bool(spans) and spans[-1][1] == end_ns and not np.any(good_ns == end_ns)
    return Availability(actual_ns, resolution_ns, name, (name,) if ends_bad else ())
