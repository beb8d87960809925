"""Lanes, scales, ticks, hatching: the geometry under the charts."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaosdrills.report import scales
from chaosdrills.report.labels import beside_marks, in_lanes
from chaosdrills.report.scales import Scale
from chaosdrills.report.svg import hatching, steps

SPAN = st.tuples(st.floats(0, 900), st.floats(0, 300)).map(lambda pair: (pair[0], pair[0] + pair[1]))
SPANS = st.lists(SPAN, max_size=30)


@settings(deadline=None)
@given(SPANS)
def test_nothing_overlaps_within_a_lane(spans: list[tuple[float, float]]) -> None:
    lanes = in_lanes(spans)
    for (one, lane), (other, same) in itertools.combinations(zip(spans, lanes, strict=True), 2):
        assert lane != same or one[1] <= other[0] or other[1] <= one[0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(8, 892), st.floats(0, 300)), max_size=30).map(sorted))
def test_labels_stay_on_the_page_where_they_fit(marks: list[tuple[float, float]]) -> None:
    places, widths = [place for place, _ in marks], [width for _, width in marks]
    for place, width, placed in zip(places, widths, beside_marks(places, widths, 8, 900), strict=True):
        assert placed.leftwards == (place + 8 + width > 900)


@settings(deadline=None)
@given(st.floats(1e-6, 1e9), st.integers(1, 10))
def test_ticks_are_few_and_within_the_scale(high: float, most: int) -> None:
    found = scales.ticks(high, most)
    assert found[0] == 0
    assert len(found) <= most + 1
    assert all(tick <= high * (1 + 1e-6) for tick in found)
    assert high <= scales.round_up(high) * (1 + 1e-6)


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 10))
def test_time_ticks_lie_within_the_window(begin: float, length: float, most: int) -> None:
    found, step = scales.time_ticks(begin, begin + length, most)
    assert len(found) <= most + 1
    assert all(begin - step * 1e-6 <= tick <= begin + length + step * 1e-6 for tick in found)


@pytest.mark.parametrize(
    ("at_s", "step_s", "shown"),
    [(0, 10, "0"), (-10, 10, "−10 s"), (0.5, 0.1, "+0.5 s"), (300, 60, "+5 min"), (21_600, 21_600, "+6 h")],
)
def test_time_ticks_in_words(at_s: float, step_s: float, shown: str) -> None:
    assert scales.time_tick(at_s, step_s) == shown


def test_a_logarithmic_scale_has_equal_decades_and_clamps() -> None:
    scale = Scale(0.001, 10, 100, 0, logarithmic=True)
    assert [scale(value) for value in (0.0001, 0.001, 0.01, 0.1, 1, 10, 50)] == [100, 100, 75, 50, 25, 0, 0]
    assert scales.decades(0.001, 10) == pytest.approx([0.001, 0.01, 0.1, 1, 10])
    assert [scales.latency_tick(value) for value in (0.0001, 0.01, 1, 100)] == ["0.1 ms", "10 ms", "1 s", "100 s"]


def test_steps_are_broken_where_nothing_is_known() -> None:
    values = np.array([1.0, 1.0, np.nan, 2.0])
    y = Scale(0, 2, 100, 0)
    assert steps([0, 10, 20, 30, 40], values, y) == "M0 50H20M30 0H40"
    assert steps([0, 10, 20, 30, 40], values, y, 100) == "M0 100V50H20V100ZM30 100V0H40V100Z"


@settings(deadline=None)
@given(st.floats(0, 900), st.floats(0, 400), st.floats(0, 300), st.floats(0, 200))
def test_hatching_stays_in_its_rectangle(x: float, y: float, width: float, height: float) -> None:
    for numbers in re.findall(r"M(\S+) (\S+)L(\S+) (\S+?)(?=M|$)", hatching(x, y, width, height)):
        left, low, right, high = map(float, numbers)
        assert x - 0.1 <= left <= right <= x + width + 0.1
        assert y - 0.1 <= high <= low <= y + height + 0.1
