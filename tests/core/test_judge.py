"""The judge against literal histories: whole results, compared with what was worked out by hand.

The cases are those of `test_oracle`, in the exchange form, and some that need the default parameters. The judge and the
oracle share no code.
"""

import json
from typing import Any

import pytest

from chaosdrills.core.exchange import parse
from chaosdrills.core.judge import Judgement, Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UsageError
from tests.core.oracle import DEFAULTS
from tests.core.test_oracle import FRESHNESS_CASES, LOAD, LOSS_CASES, OPTIONS, RECOVERY_CASES, TAIL_GONE, dip, story

Json = dict[str, Any]


def judged(history: list[Json], rto_s: float, rpo_s: float, **options: Any) -> Judgement:
    limits = Limits(rto_s, rpo_s, options.pop("max_lost", None), options.pop("fresh_judged", False))
    return judge(parse(json.dumps(line) for line in history), limits, Parameters(**options))


def figures(judgement: Judgement) -> Json:
    result = judgement.as_dict()
    return {name: value for name, value in result.items() if name not in ("parameters", "examples")}


@pytest.mark.parametrize(
    ("history", "options", "result"),
    [
        pytest.param(*case, id=name)
        for cases in (RECOVERY_CASES, FRESHNESS_CASES, LOSS_CASES)
        for name, case in cases.items()
    ],
)
def test_literal_histories(history: list[Json], options: Json, result: Json) -> None:
    assert figures(judged(history, **(OPTIONS | options))) == result


def steady(streams: int, until_s: int, gaps: dict[int, tuple[float, float]]) -> list[Json]:
    """Each stream acknowledges 10 writes a second; a stream named in `gaps` gets none in that span, and tries on."""
    lines: list[Json] = [
        {"kind": "header", "version": 1, "service": "kafka", "stream_kind": "log", "started_at": "2026-11-23T08:00:00Z"}
    ]
    for stream in range(streams):
        begin, end = gaps.get(stream, (0, 0))
        for seq in range(until_s * 10):
            at = seq / 10
            stalled = begin <= at < end
            lines.append(
                {"kind": "write", "stream": str(stream), "seq": seq, "invoked_s": at}
                | {"completed_s": round(end if stalled else at + 0.01, 3), "outcome": "ok"}
            )
        lines.append({"kind": "final", "stream": str(stream), "at_s": 100, "seqs": list(range(until_s * 10))})
    marks = [("fault_begin", 20), ("fault_end", 20.5), ("load_end", until_s)]
    lines += [{"kind": "mark", "name": name, "at_s": at, "label": ""} for name, at in marks]
    return [*lines, {"kind": "end", "at_s": 101}]


def test_one_stream_of_twelve_stalled() -> None:
    result = judged(steady(12, 60, {7: (20.0, 29.2)}), 600, 900, max_lost=0).as_dict()
    assert result == {
        "verdict": "met",
        "rto_verdict": "met",
        "rpo_verdict": "met",
        "rto_actual_s": 9.2,
        "rto_censored": False,
        "rto_at_least_s": None,
        "resolution_s": 0.5,
        "detection_s": 0.0,
        "first_success_s": 9.2,
        "freshness_s": None,
        "baseline_per_s": 120.0,
        "outages": [[19.91, 29.2]],
        "rpo_actual_s": 0.0,
        "attempted": 7200,
        "acknowledged": 7200,
        "failed": 0,
        "unknown": 0,
        "lost": 0,
        "recovered": 0,
        "unexpected": 0,
        "duplicated": 0,
        "reordered": 0,
        "stale": None,
        "parameters": {**DEFAULTS, "rto_s": 600, "rpo_s": 900, "max_lost": 0, "fresh": False},
        "examples": {name: [] for name in ("lost", "recovered", "unexpected", "duplicated", "reordered")},
    }


def test_a_stall_of_one_stream_is_not_averaged_away() -> None:
    everyone = judged(steady(12, 60, {}), 600, 900)
    one = judged(steady(12, 60, {3: (20.0, 59.0)}), 600, 900)
    assert everyone.as_dict()["rto_actual_s"] == 0
    assert one.as_dict()["rto_censored"] is True


def test_examples_name_what_is_lost() -> None:
    examples = judged(story(LOAD, None, {"0": TAIL_GONE}), **OPTIONS).as_dict()["examples"]
    assert examples["lost"] == [["0", 16], ["0", 17], ["0", 18], ["0", 19]]
    assert examples["duplicated"] == []


def test_reasons_say_what_is_missing() -> None:
    judgement = judged(story(dip(10.5, 13.5), [("fault_begin", 10)], {}, ended=False), **OPTIONS)
    assert judgement.overall.verdict == "unknown"
    assert judgement.overall.why == (
        "a fault began and did not end: it failed, or hit nothing",
        "the record has no end: the observer died",
        "stream 0 was not read back",
    )


def test_objectives_that_were_not_given_are_not_judged() -> None:
    judgement = judge(parse(json.dumps(line) for line in story(LOAD)), Limits(rto_s=10), Parameters(**SHORT))
    assert judgement.overall.verdict == "met"
    assert set(judgement.findings) == {"rto"}


def test_without_any_objective_nothing_is_met() -> None:
    judgement = judge(parse(json.dumps(line) for line in story(LOAD)), Limits())
    assert judgement.overall.verdict == "unknown"


SHORT = {name: value for name, value in OPTIONS.items() if name not in ("rto_s", "rpo_s")}


@pytest.mark.parametrize(
    "wrong", [{"stable_s": 0}, {"slow_s": -1}, {"gap_s": float("nan")}, {"recovery": "maybe"}, {"watch_s": True}]
)
def test_wrong_parameters_are_refused(wrong: Json) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Parameters(**wrong)
