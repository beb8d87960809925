"""A drill's limits, from the tolerances of literal experiments."""

from typing import Any

import pytest

from chaosdrills.core.judge import Limits
from chaosdrills.errors import UsageError
from chaosdrills.observe.tolerances import limits_of


def probe(func: str, target: str, upper: Any, **tolerance: Any) -> dict[str, Any]:
    return {
        "type": "probe",
        "name": f"{func} {target}",
        "tolerance": {"type": "range", "target": target, "range": [0, upper], **tolerance},
        "provider": {"type": "python", "module": "chaosdrills.observe.probes", "func": func},
    }


def experiment(*probes: dict[str, Any]) -> dict[str, Any]:
    return {"steady-state-hypothesis": {"title": "it holds", "probes": list(probes)}}


RTO, RPO = probe("recovery_time", "rto_judged_s", 600), probe("data_loss", "rpo_judged_s", 900)
USERS = probe("availability", "unavailable_judged_s", 60)
RESTARTS = probe("restart_attempts", "attempts_judged", 5), probe("restart_attempts", "worst_judged", 4)
LOST, FRESH = probe("data_loss", "lost", 0), probe("recovery_time", "fresh_judged_s", 600)


@pytest.mark.parametrize(
    ("described", "limits"),
    [
        ({}, Limits()),
        (experiment(), Limits()),
        (experiment(RTO, RPO, LOST), Limits(600, 900, 0)),
        (experiment(RTO, FRESH), Limits(600, fresh=True)),
        (experiment(FRESH), Limits(600, fresh=True)),
        (experiment(RTO, probe("recovery_time", "rto_judged_s", 60)), Limits(60)),
        (experiment(probe("data_loss", "lost", 3)), Limits(max_lost=3)),
        (experiment(RTO, USERS), Limits(600, max_unavailable_s=60)),
        (experiment(USERS, probe("availability", "unavailable_judged_s", 6.5)), Limits(max_unavailable_s=6.5)),
        (experiment(probe("availability", "unavailable_s", 5)), Limits()),
        (experiment(*RESTARTS), Limits(max_attempts=5, max_attempts_per_min=4)),
        (experiment(probe("restart_attempts", "attempts", 5)), Limits()),
        (experiment(probe("throughput", "per_s", 1000), probe("data_loss", "duplicated", 5)), Limits()),
    ],
)
def test_limits_are_the_upper_bounds_of_our_figures(described: dict[str, Any], limits: Limits) -> None:
    assert limits_of(described) == limits


def test_a_probe_of_the_same_name_elsewhere_is_not_ours() -> None:
    foreign = {**RTO, "provider": {"type": "python", "module": "other.probes", "func": "recovery_time"}}
    assert limits_of(experiment(foreign)) == Limits()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (probe("recovery_time", "rto_judged_s", "600"), "has the upper bound '600'"),
        (probe("availability", "unavailable_judged_s", "1"), "has the upper bound '1'"),
        (probe("recovery_time", "rto_judged_s", True), "has the upper bound True"),
        (probe("recovery_time", "rto_judged_s", -1), "has the upper bound -1"),
        (probe("recovery_time", "rto_judged_s", float("inf")), "has the upper bound inf"),
        (probe("recovery_time", "rto_judged_s", 1, type="jsonpath"), "is not a range"),
        (probe("data_loss", "lost", 1, range=[0]), "is not a range"),
        ({**LOST, "tolerance": [0, 1]}, "is not a range"),
        ({**RTO, "tolerance": 600}, "is not a range"),
    ],
)
def test_a_tolerance_that_cannot_be_judged_is_refused(bad: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        limits_of(experiment(bad))
    assert str(bad["name"]) in caught.value.message


def test_freshness_is_judged_against_the_rto() -> None:
    with pytest.raises(UsageError, match="bound fresh_judged_s by 30 and rto_judged_s by 600"):
        limits_of(experiment(RTO, probe("recovery_time", "fresh_judged_s", 30)))
