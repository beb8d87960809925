"""Availability, by the judge and by the oracle, against literal histories whose results were worked out by hand.

As in `test_oracle`: a write every 0.5 s for 20 s, all good; `fault_begin` at 10, the end of load at 20, the baseline
over [6, 10). Unless a case says otherwise the endpoint "app" is polled every 0.5 s from 0 on, 40 times, so the last
poll is due at 19.5 and the resolution is 0.5.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaosdrills.core.exchange import parse
from chaosdrills.core.judge import Judgement, Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.core.summary import Drill, summarise
from chaosdrills.errors import UsageError
from tests.core import oracle, simulator
from tests.core.test_oracle import CALM, FAULT, LOAD, LOAD_END, OPTIONS, ops, registers, story

Json = dict[str, Any]


def polls(begin: float, end: float, every: float = 0.5, **fields: Any) -> list[Json]:
    return ops(begin, end, every, **{"kind": "poll", "stream": "app", **fields})


def bad(begin: float, end: float, until: float = 20, **fields: Any) -> list[Json]:
    """The usual polls, bad from `begin` up to `end`."""
    return polls(0, begin) + polls(begin, end, **{"outcome": "failed", **fields}) + polls(end, until)


def case(polled: list[Json], limit_s: float | None, verdict: str | None, found: Any, within: Any = 0.5) -> Any:
    """The usual history with `polled`: judged against `limit_s`, the verdict of that, what is found, its resolution."""
    return story(LOAD + polled), {"max_unavailable_s": limit_s}, result(verdict, found, within)


def result(verdict: str | None, found: float | None, within: float | None, **more: Any) -> Json:
    judged = {} if verdict is None else {"unavailable_verdict": verdict, "verdict": verdict}
    return CALM | judged | {"unavailable_s": found, "unavailable_resolution_s": within} | more


CASES: dict[str, tuple[list[Json], Json, Json]] = {
    "always good": case(polls(0, 20), 0.5, "met", 0.0),
    "always good, but the resolution is past the limit": case(polls(0, 20), 0.4, "unknown", 0.0),
    # bad at 10.5, 11.0, ... 12.5; good again at 13.0
    "bad for a while": case(bad(10.5, 13), 3, "met", 2.5),
    "bad for a while, with the resolution past the limit": case(bad(10.5, 13), 2.9, "unknown", 2.5),
    "bad for a while, past the limit": case(bad(10.5, 13), 2.4, "missed", 2.5),
    "bad for exactly the limit": case(bad(10.5, 13), 2.5, "unknown", 2.5),
    "polled, but not judged": case(bad(10.5, 13), None, None, 2.5),
    "bad twice: the sum counts": case(bad(10.5, 12, 15) + bad(15, 16)[30:], 3, "met", 2.5),
    # of [9.5, 12) only what comes after the fault
    "bad before the fault already": case(bad(9.5, 12), 60, "met", 2.0),
    "bad before the fault only": case(bad(7, 9.5), 60, "met", 0.0),
    "no answer": case(bad(10.5, 13, outcome="unknown"), 3, "met", 2.5),
    "good, but slow": case(bad(10.5, 13, outcome="ok", lag=1.001), 3, "met", 2.5),
    "good, and as slow as is allowed": case(bad(10.5, 13, outcome="ok", lag=1), 3, "met", 0.0),
    # 11.0 is also polled good, at the very instant of a bad poll: the next good one is that of 11.5
    "good and bad at one instant": case(polls(0, 20) + polls(11, 11.5, outcome="failed"), 3, "met", 0.5),
    "bad when load ends": case(bad(19, 20), 60, "unknown", 1.0),
    "bad when load ends, past the limit": case(bad(19, 20), 0.9, "missed", 1.0),
    "good at the very end of load": case(bad(19, 20, 20.5), 60, "met", 1.0),
    "good only after the end of load": case(bad(19, 20.5, 23), 60, "unknown", 1.0),
    "bad only after the end of load": case(bad(20, 25, 30), 60, "met", 0.0),
    "of two the one with more": case(bad(10.5, 13) + [p | {"stream": "b"} for p in bad(11, 14.5)], 4, "met", 3.5),
    "of two the coarser resolution": case(bad(10.5, 13) + polls(0, 20, 1, stream="b"), 3.5, "met", 2.5, 1.0),
    "of two, one never seen good": case(
        polls(0, 20) + polls(0, 20, stream="b", outcome="failed"), 60, "unknown", None, None
    ),
    "named as a stream of writes": case([p | {"stream": "0"} for p in bad(10.5, 13)], 3, "met", 2.5),
    "not polled": case([], 60, "unknown", None, None),
    "good before the baseline only": case(polls(0, 6) + polls(6, 20, outcome="failed"), 60, "unknown", None, None),
    "good at the begin of the baseline": case(polls(0, 6.5) + polls(6.5, 20, outcome="failed"), 60, "unknown", 10.0),
    "first polled at the fault": case(polls(10, 20), 60, "unknown", None, None),
    # polls at 11.5 and 17, silent in between
    "a silent poller": case(polls(0, 12) + polls(17, 20), 60, "unknown", None, None),
    "a poller that is silent just as long as is allowed": case(polls(0, 12) + polls(16.5, 20), 60, "met", 0.0, 5.0),
    # a poll of 11.5 that took until 14: no silence, and yet nothing between 11.5 and 17 was seen; good again at 17
    "a poll that took long is no silence": case(
        polls(0, 11.5) + polls(11.5, 12, lag=2.5) + polls(17, 20), 60, "met", 5.5, 5.5
    ),
    "a poller that ended early": case(polls(0, 15), 60, "unknown", None, None),
    "a poller that ended a little early": case(polls(0, 17), 60, "met", 0.0, 3.5),
    # the longest span from the baseline on is that between 6.5 and 8.5; what was before the baseline is no matter
    "resolution from the baseline on": case(polls(0, 7) + polls(8.5, 20), 60, "met", 0.0, 2.0),
    "coarser before the baseline": case(polls(0, 6, 2) + polls(6, 20), 60, "met", 0.0),
    "no end, past the limit": (
        story(LOAD + bad(10.5, 13), ended=False),
        {"max_unavailable_s": 2},
        result("missed", 2.5, 0.5, rto_verdict="unknown", rpo_verdict="unknown"),
    ),
    "no end": (
        story(LOAD + bad(10.5, 13), ended=False),
        {"max_unavailable_s": 60},
        result("unknown", 2.5, 0.5, rto_verdict="unknown", rpo_verdict="unknown"),
    ),
    "load too short after the fault": (
        story(LOAD + polls(0, 20), [*FAULT, LOAD_END]),
        {"max_unavailable_s": 60, "watch_s": 10.1},
        result("unknown", 0.0, 0.5, rto_verdict="unknown"),
    ),
    # without the mark the end of load is the last write's, 19.5: polls are no load
    "no mark at the end of load": (
        story(LOAD + bad(10.5, 13, 30), FAULT),
        {"max_unavailable_s": 3},
        result("met", 2.5, 0.5),
    ),
    "of a register": (
        [*registers([], {"a": [19], "b": [19]}), *bad(10.5, 13)],
        {"max_unavailable_s": 3},
        result("met", 2.5, 0.5, reordered=None, stale=0),
    ),
}  # fmt: skip


def judged(history: list[Json], **options: Any) -> Judgement:
    given = OPTIONS | options
    limits = Limits(given.pop("rto_s"), given.pop("rpo_s"), max_unavailable_s=given.pop("max_unavailable_s", None))
    return judge(parse(json.dumps(line) for line in history), limits, Parameters(**given))


@pytest.mark.parametrize(
    ("history", "options", "expected"), [pytest.param(*one, id=name) for name, one in CASES.items()]
)
def test_literal_histories(history: list[Json], options: Json, expected: Json) -> None:
    figures = judged(history, **options).as_dict()
    assert {name: value for name, value in figures.items() if name not in ("parameters", "examples")} == expected
    assert oracle.judge(history, **(OPTIONS | options)) == expected


def test_without_a_fault_nothing_is_measured() -> None:
    history = story(LOAD + polls(0, 20), [LOAD_END])
    figures = judged(history, max_unavailable_s=60)
    assert figures.availability.actual_ns is None
    assert figures.findings["max_unavailable_s"].why[0] == "without a fault there is no unavailability to measure"
    assert oracle.judge(history, **(OPTIONS | {"max_unavailable_s": 60}))["unavailable_s"] is None


def test_a_fault_at_the_end_of_load_measures_nothing() -> None:
    history = story(LOAD + polls(0, 20), [("fault_begin", 20), ("fault_end", 20.1), LOAD_END])
    assert judged(history, max_unavailable_s=60).availability.why == "the fault began at or after the end of load"
    assert oracle.judge(history, **(OPTIONS | {"max_unavailable_s": 60}))["unavailable_s"] is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bad for a while", "the endpoint app was unavailable for 2.500 s (seen to within 0.5 s) of the 3 s allowed"),
        ("bad when load ends", "the endpoint app was still unavailable when load ended"),
        ("not polled", "no endpoint was polled"),
        ("of two, one never seen good", "the endpoint b was not seen good in the baseline before the fault"),
        ("a silent poller", "the endpoint app was not polled for over 5 s"),
        ("no end", "the record has no end: the observer died"),
        ("load too short after the fault", "load ended 10 s after the last begin, before watch_s (10.1 s)"),
    ],
)
def test_it_is_said_why(name: str, why: str) -> None:
    history, options, _ = CASES[name]
    assert judged(history, **options).findings["max_unavailable_s"].why[-1] == why


def test_the_row_of_the_summary() -> None:
    history, options, _ = CASES["bad for a while"]
    summary = summarise(Drill("d", "test", "fault", "t", "-"), judged(history, **options))
    assert summary["objectives"][-1] == {
        "name": "max_unavailable_s",
        "limit": 3,
        "actual": 2.5,
        "judged": 3.0,
        "unit": "s",
        "verdict": "met",
        "why": "the endpoint app was unavailable for 2.500 s (seen to within 0.5 s) of the 3 s allowed",
    }


def test_the_parameters_name_the_limit_only_where_there_is_one() -> None:
    assert judged(story(LOAD), max_unavailable_s=3).as_dict()["parameters"]["max_unavailable_s"] == 3
    assert "max_unavailable_s" not in judged(story(LOAD + polls(0, 20))).as_dict()["parameters"]


@pytest.mark.parametrize("limit_s", [-1, 1e9, float("nan")])
def test_a_limit_that_cannot_be(limit_s: float) -> None:
    with pytest.raises(UsageError, match="the max_unavailable_s is"):
        Limits(max_unavailable_s=limit_s)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_polls_change_no_other_figure(seed: int) -> None:
    lines, parameters = simulator.histories(seed), Parameters(stable_s=2, baseline_s=4)
    without = [line for line in lines if line["kind"] != "poll"]
    both = [judge(parse(map(json.dumps, each)), Limits(60, 60), parameters).as_dict() for each in (lines, without)]
    new = ("unavailable_s", "unavailable_resolution_s")
    assert {name: value for name, value in both[0].items() if name not in new} == both[1]


@settings(max_examples=100, deadline=None)
@given(st.floats(0.01, 1), st.floats(0, 5), st.floats(0, 4))
def test_a_planted_stop_is_measured_within_the_resolution(every_s: float, after_s: float, length_s: float) -> None:
    """An endpoint that is really out from 10 + after_s for length_s: the figure is at most the resolution off."""
    begin_s, end_s = 10 + after_s, 10 + after_s + length_s
    due = [index * every_s for index in range(int(20 / every_s) + 1)]
    polled = [
        {"kind": "poll", "stream": "app", "invoked_s": at, "completed_s": at + 0.001}
        | {"outcome": "failed" if begin_s <= at < end_s else "ok"}
        for at in due
    ]
    found = judged(story(LOAD) + polled).availability
    assert found.actual_ns is not None
    assert found.resolution_ns is not None
    assert found.resolution_ns >= round(every_s * 1e9) - 1
    assert abs(found.actual_ns - length_s * 1e9) <= found.resolution_ns + 2
