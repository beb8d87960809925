"""A timeline as one drawing: marks, outages and polled endpoints above its panels, time and phases below them.

The same scene is drawn twice, for a page and for a phone; there names give way to numbers, which a table explains.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaosdrills.core.history import to_s
from chaosdrills.report import lanes, panels, scales, wording
from chaosdrills.report.labels import beside_marks, in_lanes, width_of
from chaosdrills.report.lanes import Lane
from chaosdrills.report.panels import Frame, Panel, Reference
from chaosdrills.report.scales import Scale
from chaosdrills.report.svg import Shape, hatching, line, path, rect, text
from chaosdrills.report.timeline import Timeline

BADGE = 8.0
LANE = 20.0
STRIP = 22.0
MOST_NAMED_LANES = 6
MOST_LANES = 12  # a mark that would go lower keeps its line and its row in the table, but no badge
MOST_HATCHED = 60  # bars; more are left plain, to bound the size of a drawing

Draw = Callable[[Timeline, Reference, Sequence[float], Frame], Panel]


@dataclass(frozen=True)
class Format:
    """Sizes in user units: the drawing's `width`, its margins, and the height of each panel's plot."""

    name: str
    width: float
    left: float
    right: float
    heights: tuple[float, float, float, float]
    ticks: int
    size: float = 12.0
    brief: bool = False


WIDE = Format("wide", 900, 74, 16, (130, 54, 120, 84), 9)
NARROW = Format("narrow", 360, 50, 8, (110, 48, 104, 76), 5, 11.5, True)


@dataclass(frozen=True)
class Event:
    """A mark as the chart shows it: its number in the table, words for it, whose doing it is, its instant (ns)."""

    number: int
    name: str
    label: str
    sort: str
    at_ns: int


@dataclass(frozen=True)
class Span:
    """An outage or a phase: (ns), `end_ns` None if it did not end."""

    name: str
    begin_ns: int
    end_ns: int | None


@dataclass(frozen=True)
class Scene:
    """What a chart shows: one window of a record. `origin_ns` is the first fault."""

    times: Timeline
    reference: Reference
    origin_ns: int | None
    events: tuple[Event, ...]
    outages: tuple[Span, ...]
    phases: tuple[Span, ...]
    lanes: tuple[Lane, ...] = ()

    def panels(self) -> list[Draw]:
        """The panels that have something to show."""
        chosen: list[Draw] = [panels.throughput]
        chosen += [panels.bad] if self.times.bad.any() else []
        chosen += [panels.latency]
        return chosen + ([panels.freshness] if self.times.age_s is not None else [])


@dataclass(frozen=True)
class Drawing:
    """A finished chart; `title` and `description` are what is read aloud."""

    name: str
    width: float
    height: float
    title: str
    description: str
    shapes: tuple[Shape, ...]


def draw(scene: Scene, form: Format, title: str) -> Drawing:
    """Draw `scene`: marks, outages, polled endpoints, panels, time, phases, from top to bottom."""
    edges_ns = scene.times.edges_ns
    x = Scale(int(edges_ns[0]), int(edges_ns[-1]), form.left, form.width - form.right)
    marks, lines_from, top = _marks(scene, x, form)
    strip, top = _outage_strip(scene, x, form, top)
    polled, top = lanes.strip(scene.lanes, x, form.left, form.size, top)
    frames = _frames(scene, form, top)
    bottom = frames[-1].bottom
    edges = [x(int(edge)) for edge in edges_ns]
    drawn = [
        (one(scene.times, scene.reference, edges, frame), frame)
        for one, frame in zip(scene.panels(), frames, strict=True)
    ]
    borders = [panels.framed(panel, frame, form.brief) for panel, frame in drawn]
    time_axis, below = _time_axis(scene, x, form, frames[0].top, bottom)
    phases, height = _phase_strip(scene, x, form, below)
    lines = [line(place, start, place, bottom, f"mark {sort}") for place, start, sort in lines_from]
    shapes = [
        *_shades(scene, x, frames),
        *time_axis,
        *(shape for under, _ in borders for shape in under),
        *(shape for panel, _ in drawn for shape in panel.shapes if shape.tag != "text"),
        *lines,
        *(shape for panel, _ in drawn for shape in panel.shapes if shape.tag == "text"),
        *(shape for _, above in borders for shape in above),
        *strip,
        *polled,
        *marks,
        *phases,
    ]
    return Drawing(form.name, form.width, round(height), title, describe(scene), tuple(shapes))


def _frames(scene: Scene, form: Format, top: float) -> list[Frame]:
    """The plots of the panels below `top`, each with room for its title."""
    kinds: list[Draw] = [panels.throughput, panels.bad, panels.latency, panels.freshness]
    frames = []
    for one in scene.panels():
        height = form.heights[kinds.index(one)]
        top += 36
        frames.append(Frame(form.left, form.width - form.right, top, top + height, form.size))
        top += height
    return frames


def _marks(scene: Scene, x: Scale, form: Format) -> tuple[list[Shape], list[tuple[float, float, str]], float]:
    """Badges and names of the marks; (place, begin, sort) of their lines; where the next thing may begin."""
    events = [event for event in scene.events if x.low <= event.at_ns <= x.high]
    places = [x(event.at_ns) for event in events]
    names = ["" if form.brief else _name(event) for event in events]
    widths = [width_of(name, form.size) + 8 if name else 0.0 for name in names]
    placed = beside_marks(places, widths, BADGE, form.width)
    if placed and max(one.lane for one in placed) >= MOST_NAMED_LANES:
        names = [""] * len(names)
        placed = beside_marks(places, [0.0] * len(names), BADGE, form.width)
    shapes, lines = [], []
    for event, place, name, spot in zip(events, places, names, placed, strict=True):
        middle = 10 + min(spot.lane, MOST_LANES) * LANE
        lines.append((place, middle + BADGE, event.sort))
        shapes += _badge(event, place, middle) if spot.lane < MOST_LANES else []
        if name:
            beside = place - BADGE - 5 if spot.leftwards else place + BADGE + 5
            anchor = "end" if spot.leftwards else "start"
            shapes.append(text(beside, middle + 4, name, f"halo {event.sort}", anchor))
    deepest = min(max((one.lane for one in placed), default=-1), MOST_LANES - 1)
    return shapes, lines, (deepest + 1) * LANE + 4 if placed else 0


def _name(event: Event) -> str:
    return wording.shortened(f"{event.name}: {event.label}" if event.label else event.name, 44)


def _badge(event: Event, place: float, middle: float) -> list[Shape]:
    """A number in a shape that tells fault (square), heal (round), a remark (square, hollow) and the rest apart."""
    radius = 2 if event.sort in ("fault", "note") else BADGE
    box = rect(place - BADGE, middle - BADGE, 2 * BADGE, 2 * BADGE, f"badge {event.sort}", radius)
    return [box, text(place, middle + 4, str(event.number), f"number {event.sort}", "middle")]


def _visible(spans: tuple[Span, ...], x: Scale) -> list[tuple[Span, float, float]]:
    """The spans within the window with their places; at least 2 units wide, so that a short one is seen."""
    seen = []
    for span in spans:
        end = x.high if span.end_ns is None else span.end_ns
        if span.begin_ns <= x.high and end >= x.low:
            begin = x(span.begin_ns)
            seen.append((span, begin, max(x(end), begin + 2)))
    return seen


@dataclass(frozen=True)
class Bar:
    """An outage's place, or that of several too close to tell apart; `label` is its length, empty for several."""

    begin: float
    end: float
    label: str


def _bars(scene: Scene, x: Scale) -> list[Bar]:
    """The outages within the window; what is under 2 units apart is one."""
    bars: list[Bar] = []
    for span, begin, end in _visible(scene.outages, x):
        if bars and begin < bars[-1].end + 2:
            bars[-1] = Bar(bars[-1].begin, max(end, bars[-1].end), "")
        else:
            bars.append(Bar(begin, end, _length(span)))
    return bars


def _outage_strip(scene: Scene, x: Scale, form: Format, top: float) -> tuple[list[Shape], float]:
    """A bar for each outage, with its length where that fits."""
    bars = _bars(scene, x)
    if not bars:
        return [], top
    middle = top + STRIP / 2
    shapes = [text(0, middle + 4, "outages", "tick")]
    taken = [(bar.begin, bar.end) for bar in bars]
    for bar in bars:
        shapes.append(rect(bar.begin, middle - 6, bar.end - bar.begin, 12, "outage-bar"))
        if len(bars) <= MOST_HATCHED:
            shapes.append(path(hatching(bar.begin, middle - 6, bar.end - bar.begin, 12, 5), "hatch strong"))
        shapes += _bar_label(bar, taken, form, middle + 4)
    return shapes, top + STRIP


def _bar_label(bar: Bar, taken: list[tuple[float, float]], form: Format, base: float) -> list[Shape]:
    """The bar's label to its right, else to its left, if nothing that is `taken` lies there; takes that room."""
    width = width_of(bar.label, form.size)
    for low in (bar.end + 5, bar.begin - 5 - width) if bar.label else ():
        free = all(low + width < begin or low > end for begin, end in taken)
        if free and low > form.left and low + width <= form.width:
            taken.append((low - 6, low + width + 6))
            leftwards = low < bar.begin
            return [text(bar.begin - 5 if leftwards else low, base, bar.label, "halo", "end" if leftwards else "start")]
    return []


def _length(span: Span) -> str:
    return "no end seen" if span.end_ns is None else wording.seconds(to_s(span.end_ns - span.begin_ns))


def _shades(scene: Scene, x: Scale, frames: list[Frame]) -> list[Shape]:
    """The outages behind the panels: a light ground, hatched, so that they show without colour."""
    shapes = []
    bars = _bars(scene, x)
    for bar in bars:
        width = bar.end - bar.begin
        for frame in frames:
            height = frame.bottom - frame.top
            shapes.append(rect(bar.begin, frame.top, width, height, "shade"))
            if len(bars) <= MOST_HATCHED:
                shapes.append(path(hatching(bar.begin, frame.top, width, height), "hatch"))
    return shapes


def _time_axis(scene: Scene, x: Scale, form: Format, top: float, bottom: float) -> tuple[list[Shape], float]:
    """Ticks relative to the fault, and below them the record's clock; the clock alone without a fault."""
    origin_s = to_s(scene.origin_ns or 0)
    ticks, step = scales.time_ticks(to_s(int(x.low)) - origin_s, to_s(int(x.high)) - origin_s, form.ticks)
    base = bottom + form.size + 5
    rows = [("clock", 0.0)] if scene.origin_ns is None else [("fault" if form.brief else "since fault", 0.0)]
    rows += [] if scene.origin_ns is None else [("clock", form.size + 4)]
    shapes = [text(0, base + drop, caption, "tick") for caption, drop in rows]
    for tick in ticks:
        place = x((tick + origin_s) * 1e9)
        shapes.append(line(place, top, place, bottom, "grid"))
        half = width_of("+00 min", form.size) / 2
        if not form.left + half * 0.4 <= place <= form.width - half * 0.8:
            continue
        labels = [wording.seconds(tick)] if scene.origin_ns is None else [scales.time_tick(tick, step)]
        labels += [] if scene.origin_ns is None else [_clock_tick(tick + origin_s, step)]
        for (_, drop), label in zip(rows, labels, strict=True):
            shapes.append(text(place, base + drop, label, "tick" if drop else "tick strong", "middle"))
    return shapes, base + rows[-1][1] + 6


def _clock_tick(at_s: float, step_s: float) -> str:
    return f"{wording.number(at_s, 0 if step_s >= 10 else 1 if step_s >= 0.2 else 3)} s"


def _phase_strip(scene: Scene, x: Scale, form: Format, top: float) -> tuple[list[Shape], float]:
    """Phases as bars, overlapping ones in lanes below each other, with number and name as far as they fit."""
    bars = _visible(scene.phases, x)
    if not bars:
        return [], top + 2
    lanes = in_lanes([(begin, end - 0.5) for _, begin, end in bars])
    shapes = [text(0, top + 19, "phases", "tick")]
    for (span, begin, end), lane in zip(bars, lanes, strict=True):
        y = top + 6 + lane * 20
        shapes.append(rect(begin, y, end - begin, 17, "phase", 2))
        number = span.name.split(" ", 1)[0]
        room = int((end - begin - 8) / width_of("m", form.size))
        shown = span.name if len(span.name) <= room else wording.shortened(span.name, room) if room > 9 else number
        if len(shown) <= room and not (form.brief and shown != span.name):
            shapes.append(text(begin + 5, y + 13, shown, "small"))
        elif len(number) <= room:
            shapes.append(text(begin + 5, y + 13, number, "small"))
    return shapes, top + 6 + (max(lanes) + 1) * 20 + 2


def describe(scene: Scene) -> str:
    """The chart in words, for those who do not see it."""
    first, last = int(scene.times.edges_ns[0]), int(scene.times.edges_ns[-1])
    origin = 0 if scene.origin_ns is None else scene.origin_ns
    zero = "the record's clock" if scene.origin_ns is None else "the first fault"
    parts = [
        f"From {wording.since(first, origin)} to {wording.since(last, origin)} of {zero},"
        f" in bins of {wording.seconds(scene.times.width_s)}."
    ]
    marks = [f"{event.number} {_name(event)} at {wording.since(event.at_ns, origin)}" for event in scene.events]
    outages = [f"{_length(span)} from {wording.since(span.begin_ns, origin)}" for span in scene.outages[:10]]
    parts += [f"Marks: {'; '.join(marks)}."] if marks else ["No marks."]
    parts += [f"Outages: {'; '.join(outages)}."] if outages else ["No outage."]
    parts += [lanes.describe(lane, origin) for lane in scene.lanes]
    return " ".join(parts)
