"""`chaos validate` of broken variants of our experiments: what it says names what is wrong, and what was meant."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid

from chaosdrills.gameday.catalogue import shipped

EXPERIMENT: dict[str, Any] = json.loads(shipped()["kafka-broker-loss.json"])
Breaking = Callable[[dict[str, Any]], Any]


def control(experiment: dict[str, Any], name: str) -> dict[str, Any]:
    return next(it["provider"]["arguments"] for it in experiment["controls"] if it["name"] == name)


def fault(experiment: dict[str, Any]) -> dict[str, Any]:
    return experiment["method"][0]["provider"]


def recovery(experiment: dict[str, Any]) -> dict[str, Any]:
    return experiment["steady-state-hypothesis"]["probes"][2]


BROKEN: dict[str, tuple[Breaking, str]] = {
    "misspelt argument of the fault": (
        lambda it: fault(it)["arguments"].update(rol="leader"),
        "argument 'rol' is not part of the function signature in activity 'kill_broker'",
    ),
    "unknown fault": (
        lambda it: fault(it).update(func="kil_broker"),
        "does not expose a function called 'kil_broker' in action 'kill the leader'",
    ),
    "argument of the fault of another type": (
        lambda it: fault(it)["arguments"].update(broker_id="first"),
        "the argument 'broker_id' of kill_broker is of the type str. Try: give a whole number.",
    ),
    "commands that are a text": (
        lambda it: fault(it)["arguments"].update(inject="kill -9 1"),
        "the argument 'inject' of kill_broker is of the type str. Try: give a list.",
    ),
    "a role that is a number": (
        lambda it: fault(it)["arguments"].update(role=1),
        "the argument 'role' of kill_broker is of the type int. Try: give a text.",
    ),
    "a time that is true": (
        lambda it: it["method"][1]["provider"]["arguments"].update(timeout_s=True),
        "the argument 'timeout_s' of wait_recovered is of the type bool. Try: give a number.",
    ),
    "missing tolerance": (lambda it: recovery(it).pop("tolerance"), "hypothesis probe must have a tolerance entry"),
    "tolerance of another type": (
        lambda it: recovery(it)["tolerance"].update(range=["0", "600"]),
        "hypothesis range lower boundary must be a number",
    ),
    "unknown argument of a control": (
        lambda it: control(it, "observe").update(rates_per_s=5),
        "control 'observe': the observe control has no argument 'rates_per_s'. Try: did you mean rate_per_s?",
    ),
    "argument of a control of another type": (
        lambda it: control(it, "observe").update(faults="kill the leader"),
        "control 'observe': the observe control's faults is 'kill the leader'. Try: give a list of texts, or null.",
    ),
    "missing argument of a control": (
        lambda it: control(it, "observe").pop("service"),
        "control 'observe': the observe control needs the argument 'service'. Try: ",
    ),
    "misspelt argument of the workload": (
        lambda it: control(it, "observe")["workload_arguments"].update(partitons=5),
        "control 'observe': the Kafka workload has no argument 'partitons'. Try: did you mean partitions?",
    ),
    "misspelt parameter": (
        lambda it: control(it, "observe").update(parameters={"stable": 5}),
        "control 'observe': the observe control's parameters are {'stable': 5}: ",
    ),
    "unknown argument of the lab": (
        lambda it: control(it, "lab").update(option={}),
        "control 'lab': the lab control has no argument 'option'. Try: did you mean options?",
    ),
    "unknown lab": (
        lambda it: control(it, "lab").update(service="kafak"),
        "control 'lab': there is no lab for 'kafak'. Try: choose one of kafka, timescaledb, redis.",
    ),
}


def test_unbroken_it_is_valid() -> None:
    ensure_experiment_is_valid(copy.deepcopy(EXPERIMENT))


def test_texts_that_may_be_meant_are_valid() -> None:
    described = copy.deepcopy(EXPERIMENT)
    given = {
        "broker_id": "3",
        "timeout_s": "2.5",
        "degraded_ok": "false",
        "inject": "",
        "role": "${role}",
        "check": None,
    }
    fault(described)["arguments"] = given
    ensure_experiment_is_valid(described)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named(name: str) -> None:
    breaking, said = BROKEN[name]
    broken = copy.deepcopy(EXPERIMENT)
    breaking(broken)
    with pytest.raises(ChaosException) as caught:
        ensure_experiment_is_valid(broken)
    assert said in str(caught.value)
