"""What probes answer before and after the load has ended, and when they refuse to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import ActivityFailed
from chaoslib.hypothesis import within_tolerance

from chaosdrills.core.judge import Limits
from chaosdrills.errors import UsageError
from chaosdrills.observe.actions import wait_recovered
from chaosdrills.observe.conditions import Conditions
from chaosdrills.observe.current import DRY_RUN, set_current
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.probes import (
    availability,
    data_loss,
    freshness,
    recovery_time,
    restart_attempts,
    throughput,
)
from chaosdrills.observe.sentry import refuse_blind
from tests.observe.drills import FAULT, LIMITS, over, write_record

USERS = replace(LIMITS, max_unavailable_s=20)
FIGURES = {"per_s": 200.0, "bad_per_s": 0.0, "since_last_ack_s": 0.004, "age_s": 0.1, "clean_s": 12.0, "sent": 9}


@pytest.fixture(autouse=True)
def nobody() -> Iterator[None]:
    set_current(None)
    yield
    set_current(None)


def running(folder: Path, **figures: Any) -> ObservedDrill:
    """A drill under way that sees these figures."""
    drill = over(folder)
    drill.figures = lambda: {**FIGURES, **figures}  # type: ignore[method-assign]
    set_current(drill)
    return drill


def ended(folder: Path, limits: Limits = LIMITS, not_polled: tuple[str, ...] = (), **record: Any) -> None:
    """A drill whose record was judged."""
    write_record(folder / "record", **record)
    drill = over(folder, limits)
    drill.plan = replace(drill.plan, not_polled=not_polled)
    drill._last_figures = FIGURES
    drill.end_method()
    drill.judged()
    set_current(drill)


def test_what_a_client_sees(tmp_path: Path) -> None:
    running(tmp_path)
    assert throughput() == {"per_s": 200.0, "bad_per_s": 0.0, "since_last_ack_s": 0.004, "share_of_rate": 1.0}
    assert freshness() == {"age_s": 0.1}


def test_what_is_not_known_is_no_null(tmp_path: Path) -> None:
    running(tmp_path, since_last_ack_s=None, age_s=None)
    assert throughput() == {"per_s": 200.0, "bad_per_s": 0.0, "share_of_rate": 1.0}
    with pytest.raises(ActivityFailed, match="freshness is not measured: this workload has no reader"):
        freshness()


def test_registers_have_no_freshness(tmp_path: Path) -> None:
    drill = running(tmp_path, stream_kind="register", age_s=None)
    with pytest.raises(ActivityFailed, match="freshness is not defined for registers"):
        freshness()
    refuse_blind(drill)
    drill.plan = replace(drill.plan, abort_when=Conditions(age_s=5))
    with pytest.raises(UsageError, match="age_s cannot be watched: it is not defined for registers"):
        refuse_blind(drill)


def test_before_the_method_has_ended_nothing_is_measured(tmp_path: Path) -> None:
    running(tmp_path)
    assert recovery_time() == {
        "measured": False, "rto_judged_s": 0.0, "rto_actual_s": 0.0, "fresh_judged_s": 0.0,
    }  # fmt: skip
    assert data_loss() == {"measured": False, "rpo_judged_s": 0.0, "lost": 0, "stale": 0}
    assert availability() == {"measured": False, "unavailable_judged_s": 0.0, "unavailable_s": 0.0}
    assert restart_attempts() == {
        "measured": False, "attempts": 0, "attempts_judged": 0, "worst_per_min": 0, "worst_judged": 0,
    }  # fmt: skip


def test_between_the_method_and_the_judgement_nothing_is_known(tmp_path: Path) -> None:
    running(tmp_path).end_method()
    for probe in (recovery_time, data_loss, availability, restart_attempts):
        with pytest.raises(ActivityFailed, match="the load has not ended, so nothing was judged"):
            probe()


def test_what_was_judged(tmp_path: Path) -> None:
    ended(tmp_path, outage=(10, 13))
    assert recovery_time() == {"measured": True, "rto_judged_s": 3.5, "rto_actual_s": 3.0, "resolution_s": 0.5}
    assert data_loss() == {
        "measured": True, "rpo_judged_s": 0.0, "attempted": 600, "acknowledged": 600, "lost": 0, "recovered": 0,
        "unexpected": 0, "duplicated": 0, "reordered": 0,
    }  # fmt: skip


def test_for_how_long_users_could_not_reach_it(tmp_path: Path) -> None:
    ended(tmp_path, USERS, outage=(10, 13), unseen=(10, 13))
    answer = availability()
    assert answer == {
        "measured": True, "unavailable_judged_s": 3.1, "unavailable_s": 3.0, "resolution_s": 0.1,
    }  # fmt: skip
    for upper, met in ((3.1, True), (3.0, False)):
        tolerance = {"type": "range", "target": "unavailable_judged_s", "range": [0, upper]}
        assert within_tolerance(tolerance, answer) is met


@pytest.mark.parametrize(
    ("limits", "record", "why"),
    [
        (LIMITS, {}, "no endpoint was polled"),
        (USERS, {}, "no endpoint was polled"),
        (USERS, {"unseen": (0, 30)}, "the endpoint app was not seen good in the baseline before the fault"),
        (USERS, {"unseen": (29, 30)}, "the endpoint app was still unavailable when load ended"),
        (USERS, {"unseen": (29, 30), "marks": FAULT, "whole": False}, "the record has no end"),
    ],
)
def test_what_is_not_known_of_users_fails(tmp_path: Path, limits: Limits, record: dict[str, Any], why: str) -> None:
    ended(tmp_path, limits, **record)
    with pytest.raises(ActivityFailed, match=f"availability is not known: .*{why}"):
        availability()


def test_users_whose_endpoints_have_no_url_are_not_measured(tmp_path: Path) -> None:
    ended(tmp_path, LIMITS, not_polled=("app",))
    assert availability() == {"measured": False, "unavailable_judged_s": 0.0, "unavailable_s": 0.0}


BACK_OFF, STORM = (11, 12, 14, 18), tuple(10.5 + index / 5 for index in range(40))


@pytest.mark.parametrize("limits", [LIMITS, replace(LIMITS, max_attempts=4, max_attempts_per_min=4)])
def test_a_self_healer_that_backs_off_and_one_that_storms_are_told_apart(tmp_path: Path, limits: Limits) -> None:
    ended(tmp_path, limits, attempts=BACK_OFF)
    patient = restart_attempts()
    assert patient == {
        "measured": True, "attempts": 4, "attempts_judged": 4, "worst_per_min": 4, "worst_judged": 4,
        "mean_per_min": 12.0, "mean_gap_s": 7 / 3, "backs_off": True, "resets": 0, "silent_s": 0.05,
    }  # fmt: skip
    (tmp_path / "record").unlink()
    ended(tmp_path, limits, attempts=STORM)
    storm = restart_attempts()
    assert (storm["attempts"], storm["attempts_judged"], storm["backs_off"]) == (40, 40, False)
    for target in ("attempts_judged", "worst_judged"):
        tolerance = {"type": "range", "target": target, "range": [0, 4]}
        assert [within_tolerance(tolerance, answer) for answer in (patient, storm)] == [True, False]


@pytest.mark.parametrize(
    ("limits", "record", "why"),
    [
        (LIMITS, {}, "no restart attempts were watched"),
        (replace(LIMITS, max_attempts=4), {}, "no restart attempts were watched"),
        (replace(LIMITS, max_attempts=4), {"attempts": [11], "marks": FAULT, "whole": False}, "the record has no end"),
    ],
)
def test_what_is_not_known_of_a_self_healer_fails(
    tmp_path: Path, limits: Limits, record: dict[str, Any], why: str
) -> None:
    ended(tmp_path, limits, **record)
    with pytest.raises(ActivityFailed, match=f"the number of restart attempts is not known: .*{why}"):
        restart_attempts()


def test_a_figure_without_a_limit_is_told_all_the_same(tmp_path: Path) -> None:
    ended(tmp_path, LIMITS, unseen=(10, 13))
    assert availability()["unavailable_s"] == 3.0


def test_the_answers_suit_the_toolkits_tolerances(tmp_path: Path) -> None:
    ended(tmp_path, outage=(10, 13))
    for target, upper, met in (("rto_judged_s", 3.5, True), ("rto_judged_s", 3.4, False)):
        tolerance = {"type": "range", "target": target, "range": [0, upper]}
        assert within_tolerance(tolerance, recovery_time()) is met
    assert within_tolerance({"type": "range", "target": "lost", "range": [0, 0]}, data_loss()) is True


def test_loss_is_told_in_figures_that_a_tolerance_refuses(tmp_path: Path) -> None:
    ended(tmp_path, lost=3)
    answer = data_loss()
    assert (answer["lost"], answer["rpo_judged_s"]) == (3, pytest.approx(0.2))
    assert within_tolerance({"type": "range", "target": "lost", "range": [0, 0]}, answer) is False


@pytest.mark.parametrize(
    ("record", "probe", "why"),
    [
        ({"marks": [("load_end", 30.0)]}, recovery_time, "without a fault there is no recovery to measure"),
        ({"marks": [("load_end", 30.0)]}, data_loss, "no fault was marked"),
        ({"marks": [("fault_begin", 10.0), ("load_end", 30.0)]}, recovery_time, "a fault began and did not end"),
        ({"marks": [("fault_begin", 10.0), ("load_end", 30.0)]}, data_loss, "a fault began and did not end"),
        ({"marks": FAULT, "whole": False}, recovery_time, "the record has no end"),
        ({"marks": FAULT, "whole": False}, data_loss, "was not read back"),
        ({"marks": (*FAULT, ("load_end", 12.0)), "until_s": 12}, recovery_time, "load ended 2 s after"),
        ({"outage": (10, 29.9)}, recovery_time, "service was not restored"),
    ],
)
def test_what_a_tolerance_would_pass_though_it_is_not_known_fails(
    tmp_path: Path, record: dict[str, Any], probe: Any, why: str
) -> None:
    ended(tmp_path, **record)
    with pytest.raises(ActivityFailed, match=f"is not known: .*{why}"):
        probe()


@pytest.mark.parametrize(
    "activity", [throughput, freshness, recovery_time, data_loss, availability, restart_attempts, wait_recovered]
)
def test_without_a_drill_nothing_is_answered(activity: Any) -> None:
    with pytest.raises(ActivityFailed, match="needs a drill that is observed") as caught:
        activity()
    assert "add the observe control" in str(caught.value)
    set_current(None, DRY_RUN)
    with pytest.raises(ActivityFailed, match="a dry run observes nothing"):
        activity()


def test_waiting_without_a_fault_or_an_observer_says_so(tmp_path: Path) -> None:
    running(tmp_path)
    with pytest.raises(ActivityFailed, match="the observer does not run"):
        wait_recovered(1)
