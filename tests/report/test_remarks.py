"""Remarks of those who watched: numbered among the marks, in the chart and its table, and nothing is judged by them."""

import re
from dataclasses import replace

from chaosdrills.core.history import Note, to_ns
from chaosdrills.core.judge import judge
from chaosdrills.report.render import render_html, render_markdown
from tests.report import samples
from tests.report.samples import Drill

EVIL = '<script>alert("x")</script> | `a` \u202egnp.exe & /home/someone/secret/key'
NOTES = (Note(to_ns(25), "the on-call engineer was paged"), Note(to_ns(-1), EVIL), Note(to_ns(30), "y" * 5_000))


def noted() -> Drill:
    made = samples.broker_loss()
    return Drill(made.summary, made.recovery, replace(made.history, notes=NOTES))


def test_they_stand_in_the_table_among_the_marks_in_their_order() -> None:
    rows = [line for line in render_markdown(*noted().arguments()).splitlines() if re.match(r"\| \d+ \| ", line)]
    told = [
        line.split(" | ")[1] for line in rows if " remark " in line or "load ends" in line or "fault begins" in line
    ]
    assert told[:3] == ["remark", "fault begins", "remark"]
    paged = next(line for line in rows if "paged" in line)
    assert paged == "| 4 | remark | the on-call engineer was paged | +5.00 s | 25.00 s |"


def test_they_have_a_badge_of_their_own_in_the_chart() -> None:
    page = render_html(*noted().arguments())
    assert page.count('class="badge note"') == page.count('class="number note"') > 0
    assert 'class="mark note"' in page
    assert "remark: the on-call engineer was paged" in page


def test_they_are_no_markup_and_name_nobody() -> None:
    for text in (render_html(*noted().arguments()), render_markdown(*noted().arguments())):
        assert not re.search(r"(?<!\\)<script", text)
        assert "someone" not in text
        assert "\u202e" not in text
        assert "y" * 2_001 not in text, "a long one is cut"


def test_they_change_no_figure() -> None:
    made = noted()
    with_notes, without = (judge(one, samples.LIMITS) for one in (made.history, replace(made.history, notes=())))
    assert with_notes.as_dict() == without.as_dict() == made.recovery
