"""Restart attempts: literal looks at a healer's count, whose figures were worked out by hand, and planted healers.

As in `test_availability`: a write every 0.5 s for 20 s, all good; `fault_begin` at 10, the end of load at 20. Unless a
case says otherwise the count of "healer" is looked at every 0.5 s from 0 on, each look taking 10 ms, and once at 20.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaosdrills.core.attempts import Attempts
from chaosdrills.core.exchange import format_lines, parse
from chaosdrills.core.judge import Judgement, Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.core.stored import limits_of
from chaosdrills.core.summary import Drill, summarise
from chaosdrills.errors import UsageError
from tests.core import counted
from tests.core.test_oracle import CALM, FAULT, LOAD, LOAD_END, OPTIONS, story

Json = dict[str, Any]


def look(at: float, count: int | None, **more: Any) -> Json:
    outcome = "unknown" if count is None else "ok"
    return {"kind": "sample", "stream": "healer", "count": count, "invoked_s": at, "completed_s": at + 0.01} | {
        "outcome": outcome, **more,
    }  # fmt: skip


def looks(
    attempts: Sequence[float], every: float = 0.5, begin: float = 0, end: float = 20, base: int = 0
) -> list[Json]:
    """Looks at a count of `attempts`, made at these instants, that was `base` before them."""
    due = [begin + index * every for index in range(round((end - begin) / every) + 1)]
    return [look(at, base + sum(made <= at for made in attempts)) for at in due]


BACK_OFF = (11, 12, 14, 18)
STORM = tuple(10.5 + index / 5 for index in range(40))  # to 18.3


def judged(samples: list[Json], marks: Any = None, header: Json | None = None, **limits: Any) -> Judgement:
    history = story(LOAD + samples, marks or [*FAULT, LOAD_END])
    history[0] |= header or {}
    options = dict(OPTIONS)
    given = Limits(options.pop("rto_s"), options.pop("rpo_s"), **limits)
    return judge(parse(json.dumps(line) for line in history), given, Parameters(**options))


def found(samples: list[Json], **more: Any) -> Attempts:
    return judged(samples, **more).attempts[0]


# name: looks, attempts, judged, the most a minute, whether they back off, resets, silent for
CASES: dict[str, tuple[list[Json], tuple[Any, ...]]] = {
    "nothing attempted": (looks([]), (0, 0, 0, None, 0, 0.5)),
    "counted from what was there before": (looks([11], base=7), (1, 1, 1, None, 0, 0.5)),
    "one": (looks([11]), (1, 1, 1, None, 0, 0.5)),
    "two have one gap, which tells nothing": (looks([11, 12]), (2, 2, 2, None, 0, 0.5)),
    "a back-off, looked at too coarsely": (looks(BACK_OFF), (4, 4, 4, None, 0, 0.5)),
    "a back-off": (looks(BACK_OFF, 0.125), (4, 4, 4, True, 0, 0.125)),
    "a storm": (looks(STORM, 0.0625), (40, 40, 40, False, 0, 0.0625)),
    "a storm, looked at coarsely": (looks(STORM), (40, 40, 40, False, 0, 0.5)),
    "a back-off, and one look that fails": ([*looks(BACK_OFF, 0.125), look(13.05, None)], (4, 7, 4, None, 0, 0.125)),
    "a back-off, and one that fails before": ([*looks(BACK_OFF, 0.125), look(9.05, None)], (4, 4, 4, True, 0, 0.125)),
    "gaps that shrink": (looks([11, 15, 17], 0.125), (3, 3, 3, False, 0, 0.125)),
    "gaps that stay": (looks([11, 13, 15, 17], 0.125), (4, 4, 4, False, 0, 0.125)),
    "attempts before the fault": (looks([3, 4, 5, 6, 11]), (1, 1, 1, None, 0, 0.5)),
    "an attempt that may be of before the fault": (looks([9.9], end=20), (1, 1, 1, None, 0, 0.5)),
    "attempts after the end of load": (looks([11, 21, 22], end=25), (1, 1, 1, None, 0, 0.5)),
    # seen: 0 ... 2, then 0 ... 1: the healer was restarted, and at most one attempt was seen between two looks
    "a reset": (looks([11, 12], end=14) + looks([15], begin=14.5), (3, 4, 3, None, 1, 0.5)),
    # it fell from 2 to 1: one attempt since, of which nobody knows when
    "a reset to more than nothing": (looks([11, 12], end=14) + looks([], begin=14.5, base=1), (3, 4, 3, None, 1, 0.5)),
    "a reset before the fault": (looks([1, 2], end=5) + looks([12], begin=5.5), (1, 1, 1, None, 0, 0.5)),
    # one attempt in each of its lives, none of which is told from another: 1, in vain, 1, in vain, 1
    "one that keeps dying": (
        [*looks([11], end=12), look(12.5, None), look(13, 1), look(13.5, None), *looks([], begin=14, base=1)],
        (1, 5, 1, None, 0, 1.0),
    ),
    # no look between 12 and 17.5: a reset might hide there
    "a silence": (looks([11], end=12) + looks([11], begin=17.5), (1, None, 1, None, 0, 5.5)),
    "a silence as long as is allowed": (looks([11], end=12) + looks([11], begin=17), (1, 1, 1, None, 0, 5.0)),
    "looks that fail are silence": (
        looks([11], end=12) + [look(12.5 + index / 2, None) for index in range(10)] + looks([11], begin=17.5),
        (1, None, 1, None, 0, 5.5),
    ),
    "silent at the end": (looks([11], end=14), (1, None, 1, None, 0, 6.0)),
    "silent before the fault": (looks([], end=4) + looks([], begin=10.5), (0, None, 0, None, 0, 6.5)),
    "first seen after the fault": (looks([11], begin=10.5), (1, None, 1, None, 0, 0.5)),
}  # fmt: skip
HIDES = "(a restart of it may hide 2 times where it was not seen)"
ANEW = "(it began anew 1 time)"
MANY = "healer counts 3 attempts"
UNSEEN = "the count of healer was not seen"


@pytest.mark.parametrize(("samples", "expected"), [pytest.param(*one, id=name) for name, one in CASES.items()])
def test_literal_looks(samples: list[Json], expected: tuple[Any, ...]) -> None:
    one = found(samples)
    assert one.silent_ns is not None
    figures = (one.count, one.judged, one.worst_per_min, one.backs_off, one.resets, one.silent_ns / 1e9)
    assert figures == expected


@pytest.mark.parametrize(
    ("name", "limits", "verdict", "why"),
    [
        ("a back-off", {"max_attempts": 4}, "met", "healer counts 4 attempts, 4 are allowed"),
        ("a back-off", {"max_attempts": 3}, "missed", "healer counts 4 attempts, 3 are allowed"),
        ("a storm", {"max_attempts": 10}, "missed", "healer counts 40 attempts, 10 are allowed"),
        ("a storm", {"max_attempts_per_min": 10}, "missed", "healer counts 40 attempts in a minute, 10 are allowed"),
        ("a back-off", {"max_attempts_per_min": 4}, "met", "healer counts 4 attempts in a minute, 4 are allowed"),
        ("a reset", {"max_attempts": 4}, "met", f"healer counts 3 attempts {ANEW}, 4 are allowed"),
        ("a reset", {"max_attempts": 2}, "missed", f"healer counts 3 attempts {ANEW}, 2 are allowed"),
        ("a reset", {"max_attempts": 3}, "unknown", f"healer counts 3 attempts {ANEW}, 3 are allowed"),
        ("a reset", {"max_attempts_per_min": 3}, "unknown", f"{MANY} in a minute {ANEW}, 3 are allowed"),
        ("one that keeps dying", {"max_attempts": 4}, "unknown", f"healer counts 1 attempt {HIDES}, 4 are allowed"),
        ("a silence", {"max_attempts": 9}, "unknown", f"{UNSEEN} for 5.5 s, longer than 5 s"),
        ("a silence", {"max_attempts": 0}, "missed", "healer counts 1 attempt, 0 are allowed"),
        ("a silence", {"max_attempts_per_min": 9}, "unknown", f"{UNSEEN} for 5.5 s, longer than 5 s"),
        ("first seen after the fault", {"max_attempts": 9}, "unknown", f"{UNSEEN} before the fault"),
    ],
)  # fmt: skip
def test_verdicts(name: str, limits: Json, verdict: str, why: str) -> None:
    judgement = judged(CASES[name][0], **limits)
    finding = judgement.findings[next(iter(limits))]
    assert (finding.verdict, finding.why[-1]) == (verdict, why)
    assert judgement.overall.verdict == verdict
    assert judgement.as_dict()["restart_verdict"] == verdict


def test_what_was_not_watched_is_unknown() -> None:
    for limits in ({"max_attempts": 4}, {"max_attempts_per_min": 4}):
        judgement = judged([], **limits)
        assert judgement.overall.why == ("no restart attempts were watched",)
        assert judgement.as_dict()["restart_attempts"] is None


def test_what_was_never_seen_is_unknown() -> None:
    judgement = judged([look(index / 2, None) for index in range(40)], max_attempts=4)
    assert judgement.overall.why == ("the count of healer was never seen",)


def test_without_a_fault_nothing_is_counted() -> None:
    judgement = judged(looks([11]), [LOAD_END], max_attempts=4)
    assert judgement.findings["max_attempts"].why[0] == (
        "without a fault before the end of load there are no attempts to count"
    )


def test_the_figures_that_are_shown() -> None:
    figures = judged(looks(BACK_OFF, 0.125), max_attempts=4, max_attempts_per_min=3).as_dict()
    shown = {name: value for name, value in figures.items() if name.startswith("restart_")}
    assert shown == {
        "restart_verdict": "missed",
        "restart_attempts": 4,
        "restart_judged": 4,
        "restart_mean_per_min": 24.0,
        "restart_worst_per_min": 4,
        "restart_worst_judged": 4,
        "restart_mean_gap_s": 7 / 3,
        "restart_gaps_s": [1.0, 2.0, 4.0],
        "restart_backs_off": True,
        "restart_resets": 0,
        "restart_silent_s": 0.125,
    }
    assert {name: figures["parameters"][name] for name in ("max_attempts", "max_attempts_per_min")} == {
        "max_attempts": 4,
        "max_attempts_per_min": 3,
    }


def test_samples_change_no_other_figure() -> None:
    figures = judged(looks(STORM)).as_dict()
    rest = {name: value for name, value in figures.items() if not name.startswith("restart_")}
    assert {name: value for name, value in rest.items() if name not in ("parameters", "examples")} == CALM


def test_of_two_healers_each_is_judged_and_the_one_with_more_is_shown() -> None:
    other = [line | {"stream": "other"} for line in looks(STORM)]
    judgement = judged(looks([11]) + other, max_attempts=10)
    assert judgement.overall.why == ("other counts 40 attempts, 10 are allowed",)
    assert judgement.as_dict()["restart_attempts"] == 40
    silent = [line | {"stream": "silent"} for line in looks([], end=12)]
    assert judged(looks([11]) + silent, max_attempts=10).overall.verdict == "unknown"
    assert judged(looks([11]) + other + silent, max_attempts=10).overall.verdict == "missed"


@pytest.mark.parametrize(
    ("watches", "backs_off"),
    [
        ({"healer": {"factor": 1.5, "cap_s": 4}}, True),
        ({"healer": {"factor": 1.0}}, None),
        ({"healer": {"cap_s": 10}}, False),
        ({"healer": {"factor": "x", "cap_s": -1}}, False),  # as good as not given
        ({"healer": 7}, False),
        ([], False),
    ],
)
def test_a_cap_and_a_factor_of_its_own(watches: Any, backs_off: bool | None) -> None:
    samples = looks([10.5, 11.5, 13.5, 17.5], 0.125, end=21) + looks([], 0.125, 21.125, 30, base=4)
    samples += [line | {"count": 4 + sum(at <= line["invoked_s"] for at in (22.0, 26.5))} for line in samples[-72:]]
    marks = [*FAULT, ("load_end", 30)]
    assert found(samples[:-144] + samples[-72:], marks=marks, header={"watches": watches}).backs_off is backs_off


def test_the_row_of_the_summary_and_the_limits_read_back() -> None:
    judgement = judged(looks([11]), max_attempts=4, max_attempts_per_min=3)
    summary = summarise(Drill("d", "redis", "fault", "t", "-"), judgement)
    assert summary["objectives"][-2:] == [
        {"name": "max_attempts", "limit": 4, "actual": 1, "judged": 1, "unit": "attempts", "verdict": "met",
         "why": "healer counts 1 attempt, 4 are allowed"},
        {"name": "max_attempts_per_min", "limit": 3, "actual": 1, "judged": 1, "unit": "attempts", "verdict": "met",
         "why": "healer counts 1 attempt in a minute, 3 are allowed"},
    ]  # fmt: skip
    assert limits_of(summary) == judgement.limits


@pytest.mark.parametrize("name", ["max_attempts", "max_attempts_per_min"])
def test_a_limit_that_cannot_be(name: str) -> None:
    with pytest.raises(UsageError, match=f"the {name} is -1"):
        Limits(**{name: -1})


def test_an_exported_history_is_judged_the_same() -> None:
    judgement = judged([*looks(STORM), look(7.1, None, completed_s=None)], header={"watches": {"healer": {}}})
    again = judge(parse(format_lines(judgement.history)), judgement.limits, judgement.parameters)
    assert again.as_dict() == judgement.as_dict()


@pytest.mark.parametrize(
    "wrong",
    [{"count": None}, {"count": -1}, {"count": 2**40}, {"count": 1.0}, {"count": True}, {"outcome": "failed"}],
)
def test_a_sample_that_cannot_be(wrong: Json) -> None:
    with pytest.raises(UsageError, match=r"line 2: \(sample\) has count"):
        parse([json.dumps(story([])[0]), json.dumps(look(1, 3) | wrong)])


def test_looks_that_overlap_show_each_what_it_was_answered() -> None:
    slow, quick = look(9.5, 0, completed_s=10.2), look(9.6, 1, completed_s=9.7)
    assert found([look(9, 0), slow, quick, look(10.5, 1)]).count == 0


@st.composite
def any_samples(draw: st.DrawFn) -> list[Json]:
    """Samples of a count that grows, falls, and is not seen, at irregular instants; they may overlap."""
    at, count, made = draw(st.floats(0, 11)), draw(st.integers(0, 3)), []
    for _ in range(draw(st.integers(0, 30))):
        at = round(at + draw(st.sampled_from([0.1, 0.5, 1, 3, 6])), 3)
        count = draw(st.sampled_from([count, count, count + 1, count + 3, max(0, count - 2), 0]))
        seen = draw(st.sampled_from([True] * 9 + [False]))
        made.append(look(at, count if seen else None, completed_s=round(at + draw(st.sampled_from([0, 0.01, 0.7])), 3)))
    return made


@settings(max_examples=300, deadline=None)
@given(any_samples())
def test_it_counts_as_one_counts_by_hand(samples: list[Json]) -> None:
    if not samples:
        return
    one, expected = found(samples), counted.attempts(samples, 10, 20, 5)
    assert one.count == expected["count"]
    if one.count is None:
        return
    assert (one.judged, one.worst_per_min, one.resets, one.blind) == tuple(
        expected[name] for name in ("judged", "worst_per_min", "resets", "blind")
    )
    assert one.silent_ns == round(expected["silent"] * 10**9)
    assert (one.backs_off is True) == expected["may_back_off"]


GAPS = st.floats(0.01, 8)


@st.composite
def healers(draw: st.DrawFn) -> tuple[list[float], list[tuple[float, float]]]:
    """Attempts at growing or at any gaps, and looks at their count at irregular instants: (begun, done)."""
    grow = draw(st.booleans())
    gaps = [draw(GAPS)]
    while len(gaps) < draw(st.integers(1, 12)):
        gaps.append(gaps[-1] * draw(st.floats(1.5, 4)) if grow else draw(GAPS))
    made = [10.2]
    for gap in gaps:
        made.append(made[-1] + gap)
    begun, seen = 9.0, []
    while begun < min(made[-1] + 1, 60):
        done = begun + draw(st.floats(0.001, 0.05))
        seen.append((begun, done))
        begun = done + draw(st.floats(0.05, 1.5))
    return made, seen


def capped(gaps: Sequence[float]) -> bool:
    """The definition, on what really happened."""
    return all(after >= 1.5 * before - 1e-6 or after >= 30 or before >= 30 for before, after in pairwise(gaps))


@settings(max_examples=200, deadline=None)
@given(healers(), st.floats(0, 1))
def test_planted_healers_are_never_judged_wrongly(healer: Any, when: float) -> None:
    made, seen = healer
    samples = [
        look(begun, sum(at <= begun + when * (done - begun) for at in made), completed_s=done) for begun, done in seen
    ]
    end = max(seen[-1][1], 10.5)  # the last look may be before the fault
    counted = [at for at in made if at <= seen[-1][0] + when * (seen[-1][1] - seen[-1][0])]
    one = found(samples, marks=[*FAULT, ("load_end", end)])
    assert one.count == len(counted)
    truth = max((sum(at <= other < at + 60 for other in counted) for at in counted), default=0)
    assert one.worst_per_min is not None
    assert one.worst_per_min >= truth
    gaps = [after - before for before, after in pairwise(counted)]
    if one.backs_off is not None:
        assert one.backs_off == capped(gaps)
