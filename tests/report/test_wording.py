"""Numbers and texts as a reader should see them."""

import pytest

from chaosdrills.report import tables, wording


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (53, "53"),
        (1_840, "1,840"),
        (9.204, "9.2"),
        (13.44, "13.4"),
        (312.7, "313"),
        (0.34, "0.34"),
        (0.034, "0.034"),
        (0.00001, "under 0.001"),
        (-4.5, "−4.5"),
        (600.0, "600"),
    ],
)
def test_numbers_have_the_digits_that_matter(value: float, shown: str) -> None:
    assert wording.number(value) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (600, "s", "600 s (10 min)"),
        (86_400, "s", "86,400 s (24 h)"),
        (5_400, "s", "5,400 s (1 h 30 min)"),
        (604_800, "s", "604,800 s (7 days)"),
        (45, "s", "45 s"),
        (0.0005, "s", "0.0005 s"),
        (0, "records", "0 records"),
        (None, "s", "none set"),
    ],
)
def test_limits_are_shown_as_they_were_set(value: float | None, unit: str, shown: str) -> None:
    assert wording.limit(value, unit) == shown


def test_null_is_not_measured() -> None:
    assert wording.seconds(None) == "not measured"
    assert wording.quantity(None, "records") == "not measured"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("kill broker 1", "kill broker 1"),
        ("could not read /home/jane/drills/record: gone", "could not read …/record: gone"),
        ("~jane/keys/a.key", "…/a.key"),
        ("file:///srv/backups/one", "file://…/one"),
        ("s3://bucket/prefix/key and/or 1/2", "s3://bucket/prefix/key and/or 1/2"),
        ("logs/broker-1.log", "logs/broker-1.log"),
        ("two\nlines\x00\u202e", "two lines"),
        (None, "None"),
    ],
)
def test_foreign_text_is_one_line_without_places(text: str | None, shown: str) -> None:
    assert wording.public(text) == shown


def test_figures_that_differ_read_differently() -> None:
    entry = {"name": "rto", "limit": 600, "actual": 599.98, "judged": 600.04, "unit": "s", "verdict": "unknown"}
    [row] = tables.objectives([entry], {}).rows
    assert [cell.text for cell in row[1:5]] == ["600 s (10 min)", "599.98 s", "600.04 s", "over by 0.04 s"]


@pytest.mark.parametrize(
    ("entry", "margin"),
    [
        ({"limit": 900, "actual": 0.26, "judged": 0.26}, "899.7 s left"),
        ({"limit": 0, "actual": 0, "judged": 0}, "at the limit"),
        ({"limit": 600, "actual": None, "judged": 31.2}, "not known"),
        ({"limit": 30, "actual": None, "judged": 31.2}, "over by at least 1.2 s"),
        ({"limit": None, "actual": 3, "judged": 3}, "not known"),
        ({"limit": 600, "actual": None, "judged": None}, "not known"),
    ],
)
def test_margins(entry: dict[str, float | None], margin: str) -> None:
    [row] = tables.objectives([{**entry, "name": "rto", "unit": "s", "verdict": "unknown", "why": "x"}], {}).rows
    assert row[4].text == margin


def test_instants_are_relative_to_the_fault() -> None:
    assert [wording.since(at, 20_000_000_000) for at in (10_000_000_000, 20_000_000_000, 29_204_000_000)] == [
        "−10.00 s",
        "0 s",
        "+9.20 s",
    ]
    assert wording.since(5, None) == ""


def test_a_start_that_is_no_instant_is_shown_as_it_is() -> None:
    assert wording.moment("2026-11-23T08:00:00Z") == "23 November 2026, 08:00:00 UTC"
    assert wording.moment("2026-11-23T09:00:00+01:00") == "23 November 2026, 08:00:00 UTC"
    assert wording.moment("yesterday") == "yesterday"
