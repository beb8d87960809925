"""The panels of a timeline: throughput, bad operations, latency, freshness. Each is a scale, ticks and a few paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chaosdrills.report import scales, wording
from chaosdrills.report.ages import Floats
from chaosdrills.report.labels import width_of
from chaosdrills.report.scales import Scale
from chaosdrills.report.svg import Shape, dots, line, path, rect, steps, text
from chaosdrills.report.timeline import Timeline

BOLD = 1.12  # how much wider bold text is


@dataclass(frozen=True)
class Reference:
    """What the curves are compared with: the judge's baseline and the parameters; None where there is none."""

    baseline_per_s: float | None
    slow_s: float
    fresh_s: float


@dataclass(frozen=True)
class Frame:
    """Where a panel lies: its plot's `left`, `right`, `top` and `bottom`, and the font size, in user units."""

    left: float
    right: float
    top: float
    bottom: float
    size: float

    def scale(self, low: float, high: float, logarithmic: bool = False) -> Scale:
        """Values onto the height of the frame."""
        return Scale(low, high, self.bottom, self.top, logarithmic)


@dataclass(frozen=True)
class Key:
    """One entry of a legend, drawn as what it explains."""

    form: Literal["line", "area", "dot"]
    style: str
    label: str


@dataclass(frozen=True)
class Panel:
    """A drawn panel. `ticks` are (value, label) on `scale`; `short` is the title where there is little room."""

    title: str
    short: str
    keys: tuple[Key, ...]
    scale: Scale
    ticks: list[tuple[float, str]]
    shapes: list[Shape]


def throughput(times: Timeline, reference: Reference, edges: Sequence[float], frame: Frame) -> Panel:
    """Acknowledgements a second. A burst far above the usual rate is cut and named, so that dips stay visible."""
    rates, baseline = times.acks_per_s, reference.baseline_per_s
    usual, peak = baseline or usual_per_s(rates), float(np.nan_to_num(rates).max())
    cut = peak > 2.5 * usual
    scale = frame.scale(0, scales.round_up(1.6 * usual if cut else max(peak, usual) * 1.05))
    shapes = [path(steps(edges, rates, scale, frame.bottom), "acks-area"), path(steps(edges, rates, scale), "acks")]
    if baseline:
        shapes.append(line(frame.left, scale(baseline), frame.right, scale(baseline), "baseline"))
    if cut:
        shapes.append(_peak(f"burst: {wording.number(peak)}/s ▲", edges, int(np.nan_to_num(rates).argmax()), frame))
    keys = (Key("line", "baseline", f"baseline {wording.number(baseline)}/s"),) if baseline else ()
    ticks = [(value, scales.value_tick(value)) for value in scales.ticks(scale.high, 4)]
    return Panel("Throughput: acknowledgements per second", "Acks per second", keys, scale, ticks, shapes)


def usual_per_s(rates: Floats) -> float:
    """The median rate of bins with acknowledgements, where there is no baseline; 1 if there is none either."""
    return float(np.median(rates[rates > 0])) if (rates > 0).any() else 1.0


def _peak(label: str, edges: Sequence[float], index: int, frame: Frame) -> Shape:
    """The name of a burst that leaves the frame, beside its top."""
    begin, end = edges[index], edges[index + 1]
    if end + 4 + width_of(label, frame.size) > frame.right:
        return text(begin - 4, frame.top + frame.size, label, "halo small", "end")
    return text(end + 4, frame.top + frame.size, label, "halo small")


def bad(times: Timeline, reference: Reference, edges: Sequence[float], frame: Frame) -> Panel:
    """Operations that were not good, a second, by the instant they were due; failed, unknown and slow stacked."""
    layers = (
        ("failed", times.failed, "failed"),
        ("unknown", times.unknown, "unknown"),
        ("slow", times.slow, f"ok, but over {wording.plain(reference.slow_s)} s"),
    )
    scale = frame.scale(0, scales.round_up(float(times.bad.max()) / times.width_s * 1.05))
    stacked = np.zeros(len(times.bad))
    shapes: list[Shape] = []
    for name, counts, _ in layers:
        below, stacked = stacked, stacked + counts / times.width_s
        tops: Floats = np.where(stacked > below, stacked, np.nan)
        shapes.insert(0, path(steps(edges, tops, scale, frame.bottom), f"bad-{name}"))
    keys = tuple(Key("area", f"bad-{name}", label) for name, counts, label in layers if counts.any())
    ticks = [(value, scales.value_tick(value)) for value in scales.ticks(scale.high, 2)]
    return Panel("Bad operations per second, by when they were due", "Bad per second", keys, scale, ticks, shapes)


def latency(times: Timeline, reference: Reference, edges: Sequence[float], frame: Frame) -> Panel:
    """Latency of acknowledged operations by when they were due, on a logarithmic scale."""
    known = times.p50_s[~np.isnan(times.p50_s)]
    low = 10.0 ** np.floor(np.log10(max(float(known.min(initial=0.01)), 1e-4)))
    slowest = float(np.nanmax(times.max_s)) if len(known) else 0.0
    high = 10.0 ** np.ceil(np.log10(max(slowest, reference.slow_s, 10 * low)))
    scale = frame.scale(float(low), float(high), logarithmic=True)
    shapes = [
        path(dots(edges, times.max_s, scale), "max"),
        path(steps(edges, times.p99_s, scale), "p99"),
        path(steps(edges, times.p50_s, scale), "p50"),
    ]
    keys = [Key("line", "p50", "median"), Key("line", "p99", "p99"), Key("dot", "max", "max")]
    if reference.slow_s > low:
        shapes.insert(0, line(frame.left, scale(reference.slow_s), frame.right, scale(reference.slow_s), "limit"))
        keys.append(Key("line", "limit", "slow"))
    if not len(known):
        shapes.append(text(frame.left + 6, frame.top + 2 * frame.size, "Nothing was acknowledged.", "halo small"))
    powers = scales.decades(scale.low, scale.high)
    ticks = [(value, scales.latency_tick(value)) for value in powers[:: 2 if len(powers) > 6 else 1]]
    return Panel("Latency of acknowledged operations", "Latency", tuple(keys), scale, ticks, shapes)


def freshness(times: Timeline, reference: Reference, edges: Sequence[float], frame: Frame) -> Panel:
    """The age of the oldest acknowledged write that readers do not see yet."""
    ages = np.full(len(times.acks), np.nan) if times.age_s is None else times.age_s
    oldest = float(ages[~np.isnan(ages)].max(initial=0))
    scale = frame.scale(0, scales.round_up(max(oldest * 1.05, reference.fresh_s * 1.2)))
    shapes = [path(steps(edges, ages, scale, frame.bottom), "age-area"), path(steps(edges, ages, scale), "age")]
    fresh = scale(reference.fresh_s)
    shapes.append(line(frame.left, fresh, frame.right, fresh, "limit"))
    keys = (Key("line", "limit", f"fresh: within {wording.plain(reference.fresh_s)} s"),)
    ticks = [(value, f"{scales.value_tick(value)} s") for value in scales.ticks(scale.high, 3)]
    title = "Freshness: age of acknowledged data that readers do not see"
    return Panel(title, "Age of unseen data", keys, scale, ticks, shapes)


def framed(panel: Panel, frame: Frame, brief: bool) -> tuple[list[Shape], list[Shape]]:
    """What lies under the curves (grid, ticks) and what lies above them (title, legend)."""
    under = []
    for value, label in panel.ticks:
        y = panel.scale(value)
        under.append(line(frame.left, y, frame.right, y, "grid"))
        under.append(text(frame.left - 6, y + frame.size * 0.35, label, "tick", "end"))
    under.append(line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    base = frame.top - 12
    title = panel.short if brief else panel.title
    above = [_plate(0, width_of(title, frame.size) * BOLD + 6, base), text(0, base, title, "title")]
    return under, above + _legend(panel.keys, frame, base)


def _plate(left: float, right: float, base: float) -> Shape:
    """Blank ground for text at `base`, so that marks pass behind it."""
    return rect(left, base - 13, right - left, 18, "plate")


def _legend(keys: tuple[Key, ...], frame: Frame, base: float) -> list[Shape]:
    """Entries from right to left, each a sample and its name."""
    length = sum(width_of(key.label, frame.size) + 34 for key in keys)
    shapes = [_plate(frame.right - length, frame.right + 2, base)] if keys else []
    right = frame.right
    for key in reversed(keys):
        left = right - width_of(key.label, frame.size)
        shapes.append(text(left, base, key.label, "key"))
        shapes.append(_sample(key, left - 22, base - frame.size * 0.33))
        right = left - 22 - 12
    return shapes


def _sample(key: Key, x: float, y: float) -> Shape:
    if key.form == "area":
        return rect(x + 6, y - 5, 10, 10, key.style)
    if key.form == "dot":
        return path(f"M{x + 5:.1f} {y:.1f}h0m7 0h0", key.style)
    return line(round(x, 1), round(y, 1), round(x + 17, 1), round(y, 1), key.style)
