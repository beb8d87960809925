"""The few shapes that a chart is made of. No ids, patterns or references: hatching is drawn as lines.

A shape carries no colour; its class does, so that dark mode and print restyle a chart that is already drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from chaosdrills.report.ages import Floats
from chaosdrills.report.scales import Scale


@dataclass(frozen=True)
class Shape:
    """One SVG element: `tag` and `attributes` are ours, `text` may be anyone's and is escaped by the template."""

    tag: str
    attributes: dict[str, str | float] = field(default_factory=dict)
    text: str = ""


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Shape:
    """A straight line."""
    return Shape("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": style})


def rect(x: float, y: float, width: float, height: float, style: str, radius: float = 0) -> Shape:
    """A rectangle, its corners rounded by `radius`."""
    size: dict[str, str | float] = {"x": round(x, 1), "y": round(y, 1), "width": round(width, 1), "height": height}
    return Shape("rect", {**size, **({"rx": radius} if radius else {}), "class": style})


def text(x: float, y: float, content: str, style: str = "", anchor: str = "start") -> Shape:
    """Text whose baseline begins (`start`), ends (`end`) or is centred (`middle`) at x, y."""
    place: dict[str, str | float] = {"x": round(x, 1), "y": round(y, 1)}
    named: dict[str, str | float] = {"class": style} if style else {}
    return Shape("text", {**place, **named, **({"text-anchor": anchor} if anchor != "start" else {})}, content)


def path(data: str, style: str) -> Shape:
    """A path; `data` is its `d`."""
    return Shape("path", {"d": data, "class": style})


def steps(edges: Sequence[float], values: Floats, y: Scale, floor: float | None = None) -> str:
    """A step line over bins, broken where a value is NaN; with `floor`, closed down to it as an area."""
    parts, runs = [], _runs(values)
    for first, stop in runs:
        heights = [y(float(value)) for value in values[first:stop]]
        begin = f"M{edges[first]:g} {heights[0]:g}" if floor is None else f"M{edges[first]:g} {floor:g}V{heights[0]:g}"
        parts.append(begin)
        for index, height in enumerate(heights):
            turn = index and height != heights[index - 1]
            last = index == len(heights) - 1 or heights[index + 1] != height
            parts.append((f"V{height:g}" if turn else "") + (f"H{edges[first + index + 1]:g}" if last else ""))
        parts.append("" if floor is None else f"V{floor:g}Z")
    return "".join(parts)


def dots(edges: Sequence[float], values: Floats, y: Scale) -> str:
    """A dot (a stroke of no length, round by its class) in the middle of each bin that has a value."""
    places = (
        f"M{(edges[index] + edges[index + 1]) / 2:.1f} {y(float(value)):g}h0"
        for index, value in enumerate(values)
        if not np.isnan(value)
    )
    return "".join(places)


def hatching(x: float, y: float, width: float, height: float, gap: float = 7.0) -> str:
    """Diagonal lines that fill a rectangle."""
    parts = []
    # The lines x + y = c; those of all rectangles lie on one grid, so that neighbours match.
    first, last = int((x + y) // gap) + 1, int((x + width + y + height) // gap)
    for number in range(first, last + 1):
        total = number * gap
        left, right = max(x, total - y - height), min(x + width, total - y)
        if right - left > 0.2:
            parts.append(f"M{left:.1f} {total - left:.1f}L{right:.1f} {total - right:.1f}")
    return "".join(parts)


def _runs(values: Floats) -> list[tuple[int, int]]:
    """The stretches [first, stop) of values that are not NaN."""
    known = np.concatenate([[False], ~np.isnan(values), [False]])
    turns = np.flatnonzero(known[1:] != known[:-1])
    return [(int(first), int(stop)) for first, stop in zip(turns[::2], turns[1::2], strict=True)]
