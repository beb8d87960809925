"""The Markdown: verdict in the first line, tables that stay tables whatever stands in them."""

import itertools
import re

import pytest

from chaosdrills.report.markdown import BLOCKS
from chaosdrills.report.render import render_markdown
from tests.report import samples
from tests.report.test_html import DRILLS


def cells(line: str) -> list[str]:
    """The cells of a row, split where Markdown would."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("met", "# ✓ Met: Kafka: the leader of a partition is killed"),
        ("missed", "# ✗ Missed: Kafka: the leader is killed under acks=1"),
        ("unknown", "# ? Unknown: Kafka: the leader of a partition is killed"),
    ],
)
def test_the_verdict_is_the_first_line(name: str, first: str) -> None:
    assert render_markdown(*DRILLS[name]().arguments()).splitlines()[0] == first


def test_what_a_self_healer_tried_is_told() -> None:
    lines = render_markdown(*samples.watched().arguments()).splitlines()
    rows = {cells(line)[0]: cells(line) for line in lines if line.startswith("| ")}
    assert rows["Restart attempts of a self-healer"][1:5] == [
        "10 attempts",
        "38 attempts",
        "38 attempts",
        "over by 28 attempts",
    ]
    assert rows["Restart attempts"][1] == "38"
    assert rows["Attempts a minute"][1] == "38"
    assert rows["Backs off"][1] == "no"
    assert rows["Backs off"][2].endswith(f"gaps; in seconds: {'0.20, ' * 8}…")
    patient = render_markdown(*samples.watched(storm=False).arguments())
    assert "| Backs off | yes | Whether attempts come at growing gaps; in seconds: 1, 2, 4 |" in patient
    assert "Backs off" not in render_markdown(*samples.broker_loss().arguments())


@pytest.mark.parametrize("name", list(DRILLS))
def test_every_row_has_the_cells_of_its_header(name: str) -> None:
    lines = render_markdown(*DRILLS[name]().arguments()).splitlines()
    tables = 0
    for before, line in itertools.pairwise(lines):
        if line.startswith("| ---"):
            tables += 1
            width = len(cells(before))
        if line.startswith("| "):
            header = not before.startswith("|")
            assert header or len(cells(line)) == width, line
    assert tables >= 1


@pytest.mark.parametrize("name", list(DRILLS))
def test_no_markup_of_others_and_no_place_on_this_machine(name: str) -> None:
    text = render_markdown(*DRILLS[name]().arguments())
    assert not re.search(r"(?<!\\)<", text)
    assert not re.search(r"/home/|/var/|/srv/|/tmp/|someone", text)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_objectives_of_a_missed_drill() -> None:
    lines = render_markdown(*samples.unsafe_acks().arguments()).splitlines()
    assert (
        "| Acknowledged records lost | 0 records | 53 records | 53 records | over by 53 records | ✗ **Missed** "
        "| 53 acknowledged records are lost, 0 are allowed. |"
    ) in lines
    assert "**1 of 4 objectives missed.**" in lines


def test_a_censored_recovery_and_null_figures() -> None:
    text = render_markdown(*samples.never_back().arguments())
    assert "| Recovery time (RTO) | 600 s (10 min) | not restored; at least 31.2 s | *not measured* |" in text
    assert "> **Note:** The last 17 bytes of the record are torn." in text


def test_the_line_of_blocks_shows_the_outage_where_it_was() -> None:
    lines = render_markdown(*samples.unsafe_acks().arguments()).splitlines()
    rates = next(line for line in lines if line.startswith("acks/s"))[9:]
    outages = next(line for line in lines if line.startswith("outages"))[9:]
    assert rates[:20] == BLOCKS[-1] * 20
    assert rates[20:26] == "·" * 6
    assert rates[27:59] == BLOCKS[-1] * 32
    assert outages == " " * 19 + "#" * 8


def test_every_mark_stands_below_its_bin() -> None:
    lines = render_markdown(*samples.broker_loss().arguments()).splitlines()
    rows = [line[9:] for line in lines if line.startswith("marks")]
    places = {character: at for row in rows for at, character in enumerate(row) if character != " "}
    assert places == {"1": 20, "2": 20, "3": 40, "4": 44, "5": 60, "6": 60}
