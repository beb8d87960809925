"""Polled endpoints in a report: their lanes, their row among the objectives, and nothing of them where none is."""

import re

import numpy as np
import pytest

from chaosdrills.core.history import NS, Operations, to_ns
from chaosdrills.report.lanes import Lane, lanes_of, row
from chaosdrills.report.render import render_html, render_markdown
from chaosdrills.report.views import report_of
from tests.report import samples
from tests.report.pages import Page


def test_a_lane_is_what_the_judge_charges() -> None:
    made = samples.polled()
    shop, longer, good = lanes_of(made.history, NS, to_ns(60))
    assert (shop.begin_ns, shop.end_ns, shop.bad) == (0, to_ns(59.95), ((to_ns(20.5), to_ns(32.5)),))
    assert longer.bad == ((to_ns(21), to_ns(22)), (to_ns(40), to_ns(41)))
    assert good.bad == ()
    assert sum(end - begin for begin, end in shop.bad) == to_ns(made.recovery["unavailable_s"])


def test_endpoints_that_were_not_polled_have_no_lane() -> None:
    made = samples.polled_never()
    (shop,) = lanes_of(made.history, NS, to_ns(60))
    assert (shop.name, shop.bad) == ("shop", ((0, to_ns(60)),))
    assert lanes_of(made.history, NS, 0) == ()
    assert lanes_of(samples.broker_loss().history, NS, to_ns(60)) == ()


@pytest.mark.parametrize(
    ("lane", "shown"),
    [
        (Lane("a", 0, 10, ()), "=========="),
        (Lane("a", 2, 5, ()), "  ====    "),
        (Lane("a", 0, 10, ((3, 5),)), "===##====="),
        (Lane("a", 0, 10, ((3, 4), (8, 10))), "===#====##"),
        (Lane("a", 4, 6, ((5, 8),)), "    =###  "),
        (Lane("a", 20, 30, ((20, 30),)), "          "),
    ],
)
def test_a_lane_in_characters(lane: Lane, shown: str) -> None:
    assert row(lane, np.arange(11)) == shown


def test_the_markdown_has_a_row_for_each_endpoint() -> None:
    text = render_markdown(*samples.polled().arguments())
    rows = {line[:8]: line[9:] for line in text.splitlines() if re.fullmatch(r".{9}=+#*=[=#]*", line)}
    assert {name: row.count("#") for name, row in rows.items()} == {"shop    ": 13, "a name… ": 2, "?b???x? ": 0}
    assert "= a polled endpoint is good; # it is unavailable" in text
    assert "| Endpoint unavailable to users | 20 s | 12 s | 12.1 s | 7.9 s left | ✓ **Met** | " in text


def test_the_page_has_a_lane_under_the_marks_for_each_endpoint() -> None:
    page = Page(render_html(*samples.polled().arguments()))
    charts = [element for element in page.elements if element.tag == "svg" and "chart" in element.attributes["class"]]
    for chart in charts:
        assert sum(inner.has("poll-good") for inner in chart.inner) == 3
        assert 1 <= sum(inner.has("poll-bad") for inner in chart.inner) <= 3
    assert "Endpoint shop: unavailable for 12 s from +0.50 s." in page.one("body").text
    cells = [" ".join(one.text.split()) for one in page.one("table", "cards").inner if one.tag in ("th", "td")]
    begin = cells.index("Endpoint unavailable to users")
    assert cells[begin : begin + 6] == [
        "Endpoint unavailable to users",
        "20 s",
        "12 s",
        "12.1 s",
        "7.9 s left",
        "Met",
    ]
    assert "3,600 polls" in page.one("body").text


def test_without_polls_nothing_is_said_of_them() -> None:
    for text in (render_markdown(*samples.broker_loss().arguments()), render_html(*samples.broker_loss().arguments())):
        body = text.split("</style>")[-1].lower()
        assert "poll" not in body
        assert "unavailable" not in body


def test_many_stops_are_drawn_in_bounds() -> None:
    made = samples.polled()
    flaky = made.history.polls.outcome.copy()
    flaky[::2] = 1
    polls = made.history.polls
    history = samples.replace(
        made.history, polls=Operations(polls.stream, polls.seq, polls.invoked_ns, polls.completed_ns, flaky)
    )
    assert len(render_html(made.summary, made.recovery, history)) < 400_000
    assert len(report_of(made.summary, made.recovery, history).scenes) > 0
