"""Polled endpoints in a timeline: a lane each, a thin line while it was good, a hatched bar while it was not."""

from dataclasses import dataclass

import numpy as np

from chaosdrills.core.availability import unavailable
from chaosdrills.core.history import History, Ints, by_stream
from chaosdrills.report import wording
from chaosdrills.report.labels import width_of
from chaosdrills.report.scales import Scale
from chaosdrills.report.svg import Shape, hatching, path, rect, text

HEIGHT = 20.0
BAR = 12.0
MOST_HATCHED = 60  # bars of one lane; more are left plain, to bound the size of a drawing
GOOD, BAD, NOT_POLLED = "=", "#", " "  # of one bin in text
NAME_WIDTH = 8


@dataclass(frozen=True)
class Lane:
    """One endpoint, (ns): polled from `begin_ns` to `end_ns`, unavailable in the ascending spans `bad`."""

    name: str
    begin_ns: int
    end_ns: int
    bad: tuple[tuple[int, int], ...]


def lanes_of(history: History, slow_ns: int, load_end_ns: int) -> tuple[Lane, ...]:
    """The endpoints that were polled before `load_end_ns`, up to then."""
    polls, lanes = by_stream(history.polls), []
    for number, name in enumerate(history.poll_streams):
        polled = polls.get(number)
        if polled is not None and int(polled.invoked_ns[0]) < load_end_ns:
            end_ns = min(load_end_ns, int(polled.invoked_ns[-1]))
            bad = unavailable(polled, slow_ns, load_end_ns)
            lanes.append(Lane(wording.public(name), int(polled.invoked_ns[0]), end_ns, tuple(bad)))
    return tuple(lanes)


def strip(lanes: tuple[Lane, ...], x: Scale, left: float, size: float, top: float) -> tuple[list[Shape], float]:
    """The lanes below `top`, their names in the margin of width `left`; and where the next thing may begin."""
    shapes: list[Shape] = []
    room = max(1, int((left - 6) / width_of("m", size)))
    for lane in lanes:
        middle = top + HEIGHT / 2
        shapes.append(text(0, middle + 4, wording.shortened(lane.name, room), "tick"))
        if lane.begin_ns <= x.high and lane.end_ns >= x.low:
            begin, end = x(lane.begin_ns), x(lane.end_ns)
            shapes.append(rect(begin, middle - 1.5, max(end - begin, 2), 3, "poll-good"))
        shapes += _bars(lane, x, middle)
        top += HEIGHT
    return shapes, top


def _bars(lane: Lane, x: Scale, middle: float) -> list[Shape]:
    """What of it was bad, at least 2 units wide; bars under 2 units apart are one."""
    bars: list[tuple[float, float]] = []
    for begin_ns, end_ns in lane.bad:
        if begin_ns > x.high or end_ns < x.low:
            continue
        begin, end = x(begin_ns), max(x(end_ns), x(begin_ns) + 2)
        if bars and begin < bars[-1][1] + 2:
            bars[-1] = (bars[-1][0], max(end, bars[-1][1]))
        else:
            bars.append((begin, end))
    shapes = [rect(begin, middle - BAR / 2, end - begin, BAR, "poll-bad") for begin, end in bars]
    if len(bars) <= MOST_HATCHED:
        shapes += [path(hatching(begin, middle - BAR / 2, end - begin, BAR, 5), "hatch strong") for begin, end in bars]
    return shapes


def row(lane: Lane, edges_ns: Ints) -> str:
    """One character a bin: `BAD` if it was bad for some of it, else `GOOD` if it was polled."""
    begins, ends = edges_ns[:-1], edges_ns[1:]
    polled = (begins <= lane.end_ns) & (ends > lane.begin_ns)
    bad = np.zeros(len(begins), dtype=np.bool_)
    for begin_ns, end_ns in lane.bad:
        bad |= (begins < end_ns) & (ends > begin_ns)
    return "".join(BAD if out else GOOD if some else NOT_POLLED for out, some in zip(bad, polled, strict=True))


def describe(lane: Lane, origin_ns: int) -> str:
    """The lane in words: the endpoint's longest times, and how many more there were."""
    spans = [
        f"{wording.seconds((end_ns - begin_ns) / 1e9)} from {wording.since(begin_ns, origin_ns)}"
        for begin_ns, end_ns in sorted(lane.bad, key=lambda span: span[0] - span[1])[:10]
    ]
    more = f"; and {wording.number(len(lane.bad) - 10)} more" if len(lane.bad) > 10 else ""
    return f"Endpoint {lane.name}: {'unavailable for ' + '; '.join(spans) + more if spans else 'always good'}."
