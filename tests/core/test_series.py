"""Several runs together: the worst verdict, and figures that say of how many runs they are."""

from typing import Any

import pytest

from chaosdrills.core.series import Run, run_of, together


def summary(verdict: str, rto_s: float | None, lost: int | None, rto_verdict: str = "") -> dict[str, Any]:
    return {
        "verdict": verdict,
        "objectives": [
            {"name": "rpo", "actual": 7},
            {"name": "rto", "actual": rto_s, "verdict": rto_verdict or verdict},
        ],
        "loss": None if lost is None else {"lost": lost},
    }


def test_what_counts_of_a_run() -> None:
    assert run_of(summary("met", 3.5, 0)) == Run("met", 3.5, None, 0)
    assert run_of(summary("missed", None, None), 62.0) == Run("missed", None, 62.0, None)
    assert run_of(summary("met", 3.5, 0), 62.0) == Run("met", 3.5, None, 0), "what was measured has no bound"
    assert run_of(summary("unknown", 3.5, 0, "met")) == Run("unknown", 3.5, None, 0)
    undecided = run_of(summary("unknown", 0.0, 0))
    assert undecided == Run("unknown", None, None, 0), "a fault that hit nothing has no recovery time of 0"
    assert run_of({"verdict": "met", "objectives": [], "loss": None}) == Run("met")
    assert run_of({}) == run_of(None) == Run("unknown")


def test_all_measured() -> None:
    runs = [Run("met", rto_s, None, 0) for rto_s in (12.0, 9.0, 11.0, 10.0, 8.0)]
    assert together(runs) == {
        "runs": 5,
        "verdict": "met",
        "verdicts": {"met": 5, "missed": 0, "unknown": 0},
        "rto": {
            "known": 5,
            "not_known": 0,
            "min_s": 8.0,
            "median_s": 10.0,
            "max_s": 12.0,
            "spread_s": pytest.approx(1.5811388),
            "at_least_s": None,
        },
        "lost": {"known": 5, "not_known": 0, "total": 0, "most": 0},
    }


def test_what_is_not_known_is_counted_and_never_left_out() -> None:
    runs = [Run("met", 9.0, None, 0), Run("unknown"), Run("missed", None, 61.0, 3), Run("unknown", None, 40.0, 0)]
    found = together(runs)
    assert found["verdict"] == "missed"
    assert found["verdicts"] == {"met": 1, "missed": 1, "unknown": 2}
    assert found["rto"] == {
        "known": 1,
        "not_known": 3,
        "min_s": 9.0,
        "median_s": 9.0,
        "max_s": 9.0,
        "spread_s": None,
        "at_least_s": 61.0,
    }
    assert found["lost"] == {"known": 3, "not_known": 1, "total": 3, "most": 3}


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        (["met", "unknown", "met"], "unknown"),
        (["met", "unknown", "missed"], "missed"),
        ([], "unknown"),
    ],
)
def test_the_worst_verdict(verdicts: Any, worst: str) -> None:
    assert together([Run(verdict) for verdict in verdicts])["verdict"] == worst


@pytest.mark.parametrize(
    ("fresh", "actual_s"),
    [({"actual": 43.7, "verdict": "met"}, 43.7), ({"actual": 0.5, "verdict": "met"}, 2.0),
     ({"actual": None, "verdict": "unknown"}, None), ({"actual": None, "verdict": "missed"}, None)],
)  # fmt: skip
def test_where_fresh_data_is_judged_recovery_lasts_until_data_is_fresh(fresh: dict[str, Any], actual_s: float) -> None:
    rto = {"name": "rto", "actual": 2.0, "verdict": "met"}
    summary = {"verdict": "met", "objectives": [rto, {"name": "freshness", **fresh}], "loss": {"lost": 0}}
    assert run_of(summary).rto_actual_s == actual_s
