"""A new experiment, drafted from a shipped one: the same checks and the same order, another fault.

What may be done to whom is what the registry of faults and the service's actions offer in this version
(`chaosdrills.gameday.drafting_subjects`); with the user's own commands it is done to any cluster.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.core.objectives import Objective
from chaosdrills.core.strict import loads
from chaosdrills.errors import UsageError
from chaosdrills.gameday.catalogue import EXTENSION, shipped
from chaosdrills.gameday.drafting_subjects import KAFKA, Subject

MINUTES = 2
HURT_S = 20  # how long a service that does not recover by itself stays hurt
FAULT, HEAL, WAIT, RECOVER = "do the fault", "undo the fault", "wait until the cluster is whole", "wait_recovered"

Json = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """What an experiment is to do.

    `fault` is one of the subject's, on the lab or, with `inject`, by the user's own commands: `inject`, `heal` and
    `check` are their words. `arguments` are more of the fault's action's own, as texts. `role` is one of the subject's
    (empty: the action's own default), and `node_id` the broker or node where that is "id". `workload` are arguments of
    the workload over the template's. With `healed` the service is not expected to recover before it is healed.
    `endpoint` is where the cluster is by default; empty: the lab.
    """

    name: str
    objective: Objective
    subject: Subject = KAFKA
    fault: str = "kill"
    role: str = ""
    node_id: int = 0
    rate_per_s: float = 200.0
    workload: Mapping[str, str | int] = field(default_factory=dict)
    healed: bool = False
    title: str = ""
    endpoint: str = ""
    inject: Sequence[str] = ()
    heal: Sequence[str] = ()
    check: Sequence[str] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)


def role_of(subject: Subject, fault: str) -> str:
    """Whom `fault` hits if nobody says: as its action does. Empty if it cannot be chosen."""
    parameter = subject.parameters(fault).get("role")
    return "" if parameter is None else str(parameter.default)


def experiment(draft: Draft) -> Json:
    """The experiment that `draft` describes. Raises `UsageError` for what does not fit together."""
    subject = draft.subject
    made: Json = loads(shipped()[subject.template])
    hits = _hits(draft)
    made["title"] = draft.title or f"{subject.title} recovers {'once healed' if draft.healed else 'by itself'}: {hits}"
    made["description"] = f"{hits}, under load with {subject.load}. Drafted with 'chaos drills new'."
    made["tags"] = [subject.service, draft.fault]
    needs = [f"the program {draft.inject[0]}", f"{subject.variable}, or the lab"] if draft.inject else ["the lab"]
    made["extensions"] = [{"name": EXTENSION, "hits": hits, "minutes": MINUTES, "needs": needs}]
    if draft.fault in subject.networks and not draft.inject:
        _control(made, "lab")["options"] = {"network": subject.networks[draft.fault]}
    _set_load(_control(made, "observe"), draft)
    _set_limits(made, draft)
    _set_method(made, draft)
    made["configuration"] = _configuration(made, draft)
    return made


def text_of(made: Json) -> bytes:
    """The experiment as a file's content."""
    return (json.dumps(made, indent=2, ensure_ascii=False) + "\n").encode()


def _hits(draft: Draft) -> str:
    role = draft.role or role_of(draft.subject, draft.fault)
    return draft.subject.hits(draft.fault, role, draft.node_id, bool(draft.inject))


def _configuration(made: Json, draft: Draft) -> Json:
    """The template's, without what only its own fault and load looked at, and with the user's own cluster."""
    own = {"role", "rate_per_s", draft.subject.spread, *(f"{draft.subject.service}_{it}" for it in _MEANS)}
    given = made["configuration"]
    if draft.endpoint:
        given[draft.subject.endpoint]["default"] = draft.endpoint
    rest = json.dumps({name: value for name, value in made.items() if name != "configuration"})
    return {name: value for name, value in given.items() if name not in own or f"${{{name}}}" in rest}


_MEANS = ("target", "inject", "heal", "check")


def _set_load(observe: Json, draft: Draft) -> None:
    observe["name"] = draft.name
    observe["rate_per_s"] = draft.rate_per_s
    observe["workload_arguments"] |= {draft.subject.spread: draft.subject.streams, **draft.workload}
    if draft.healed:
        observe["parameters"] = {"recovery": "healed"}


def _set_limits(made: Json, draft: Draft) -> None:
    """The objectives as tolerances, which are the only place where they stand."""
    limits = {
        "rto_judged_s": [0, draft.objective.rto_s],
        "rpo_judged_s": [0, draft.objective.rpo_s],
        "lost": [0, draft.objective.max_lost],
        "unavailable_judged_s": [0, draft.objective.rto_s],
    }
    hypothesis = made["steady-state-hypothesis"]
    probes = [it for it in hypothesis["probes"] if it["tolerance"]["target"] != "lost"]
    if draft.objective.max_lost is not None:
        rpo = next(it for it in probes if it["tolerance"]["target"] == "rpo_judged_s")
        tolerance = {**rpo["tolerance"], "target": "lost"}
        probes.insert(probes.index(rpo) + 1, {**rpo, "name": "no more is lost than may be", "tolerance": tolerance})
    hypothesis["probes"] = probes
    for probe in hypothesis["probes"]:
        tolerance = probe["tolerance"]
        tolerance["range"] = limits.get(tolerance["target"], tolerance["range"])


def _set_method(made: Json, draft: Draft) -> None:
    fault, wait, heal, whole = made["method"]
    wait["provider"]["arguments"]["timeout_s"] = draft.objective.rto_s
    fault["name"], heal["name"], whole["name"] = FAULT, HEAL, WAIT
    fault["provider"]["func"] = draft.subject.func(draft.fault)
    fault["provider"]["arguments"] = _arguments(draft)
    if draft.healed:
        fault["pauses"] = {"after": HURT_S}
    made["method"] = [fault, heal, whole] if draft.healed else [fault, wait, heal, whole]
    made["rollbacks"] = [heal]


def _arguments(draft: Draft) -> Json:
    """The arguments of the fault's action: of the role, and the user's own in the types that the action takes."""
    subject = draft.subject
    known = subject.parameters(draft.fault)
    role = draft.role or role_of(subject, draft.fault)
    if draft.role and "role" not in known:
        raise UsageError(f"the fault {draft.fault!r} hits whom it always hits: it takes no role.", "leave --role out.")
    subject.require_fit(draft.fault, role, bool(draft.inject or draft.heal))
    ours: Json = {"role": role}
    if role in ("leader", "followers"):
        ours["partition"] = 0
    if role == "id":
        ours[subject.id_argument] = draft.node_id
    if draft.inject or draft.heal:
        ours |= _commands(draft, known)
    given = {name: _typed(name, text, known) for name, text in draft.arguments.items()}
    return {**{name: value for name, value in ours.items() if name in known}, **given}


def _commands(draft: Draft, known: Mapping[str, inspect.Parameter]) -> Json:
    """The arguments by which an action does the user's own commands instead."""
    if "target" not in known:
        by_command = [name for name in draft.subject.faults() if "target" in draft.subject.parameters(name)]
        raise UsageError(
            f"the fault {draft.fault!r} takes no commands.", f"choose one of {', '.join(by_command) or 'none'}."
        )
    if not draft.inject or not draft.heal:
        raise UsageError(
            "a fault by command needs two commands.", "give both --inject and --heal; heal may be repeated."
        )
    check = {"check": list(draft.check)} if draft.check else {}
    return {"target": "command", "inject": list(draft.inject), "heal": list(draft.heal), **check}


def _typed(name: str, text: str, known: Mapping[str, inspect.Parameter]) -> Any:
    if name not in known:
        raise UsageError(f"the fault has no argument {name!r}.", f"it takes {', '.join(known)}.")
    kind = known[name].annotation
    try:
        if kind is bool:
            return {"true": True, "false": False}[text]
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError) as error:
        raise UsageError(f"the argument {name} is {text!r}.", f"give a {kind.__name__}.") from error


def _control(made: Json, name: str) -> Json:
    arguments: Json = next(it["provider"]["arguments"] for it in made["controls"] if it["name"] == name)
    return arguments
