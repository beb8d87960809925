"""Placing labels in lanes so that none covers another, however close their marks are."""

from dataclasses import dataclass

CHARACTER = 0.56  # the width of a character of a system font, in ems, on the generous side


@dataclass(frozen=True)
class Placed:
    """Where a label went: its lane (0 is the uppermost), and whether its text runs to the left of its mark."""

    lane: int
    leftwards: bool


def width_of(text: str, size: float) -> float:
    """An estimate of the width of `text` at font size `size`, in the same unit."""
    return len(text) * size * CHARACTER


def in_lanes(spans: list[tuple[float, float]]) -> list[int]:
    """For each span (begin, end) the first lane in which it overlaps no earlier one."""
    lanes: list[list[tuple[float, float]]] = []
    chosen = []
    for begin, end in spans:
        free = (number for number, lane in enumerate(lanes) if all(end <= low or high <= begin for low, high in lane))
        lane = next(free, len(lanes))
        if lane == len(lanes):
            lanes.append([])
        lanes[lane].append((begin, end))
        chosen.append(lane)
    return chosen


def beside_marks(places: list[float], widths: list[float], badge: float, right: float) -> list[Placed]:
    """Lanes for badges of radius `badge` centred at `places` (ascending) with text of `widths` beside them.

    Text runs to the right of its badge, or to the left where it would cross `right`.
    """
    spans, leftwards = [], []
    for place, width in zip(places, widths, strict=True):
        left = place + badge + width > right
        leftwards.append(left)
        reach = badge + width
        spans.append((place - reach, place + badge + 2) if left else (place - badge - 2, place + reach))
    return [Placed(lane, left) for lane, left in zip(in_lanes(spans), leftwards, strict=True)]
