"""A new experiment, drafted from the shipped broker loss: the same checks and the same order, another fault.

What may be done to a broker, and to which one, is what the registry of faults and `chaosdrills.kafka.actions` offer in
this version; with the user's own commands it is done to any cluster.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.core.objectives import Objective
from chaosdrills.core.strict import loads
from chaosdrills.errors import UsageError
from chaosdrills.faults.registry import FAULTS
from chaosdrills.gameday.catalogue import EXTENSION, shipped
from chaosdrills.kafka import actions
from chaosdrills.kafka.roles import ROLES

TEMPLATE = "kafka-broker-loss.json"
SERVICES = ("kafka",)
MINUTES = 2
HURT_S = 20  # how long a service that does not recover by itself stays hurt
FAULT, HEAL, WAIT, RECOVER = "do the fault", "undo the fault", "wait until the cluster is whole", "wait_recovered"

Json = dict[str, Any]


NETWORKS = {"isolate": "isolable", "slow": "proxied"}
"""The kind of the lab's network that a fault needs."""


@dataclass(frozen=True)
class Draft:
    """What an experiment is to do.

    `fault` is one of `faults()`, on the lab or, with `inject`, by the user's own commands: `inject`, `heal` and `check`
    are their words. `arguments` are more of the fault's action's own, as texts. `role` is one of `roles()`, and
    `broker_id` the broker where that is "id". An empty `topic` is a new one for each drill. With `healed` the service
    is not expected to recover before it is healed. `bootstrap` is where the cluster is by default; empty: the lab.
    """

    name: str
    objective: Objective
    fault: str = "kill"
    role: str = "leader"
    broker_id: int = 0
    topic: str = ""
    partitions: int = 6
    rate_per_s: float = 200.0
    healed: bool = False
    title: str = ""
    bootstrap: str = ""
    inject: Sequence[str] = ()
    heal: Sequence[str] = ()
    check: Sequence[str] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)


def faults() -> tuple[str, ...]:
    """What can be done to a broker: the registered faults that have an action for it."""
    return tuple(name for name in FAULTS if _action(name))


def roles() -> tuple[str, ...]:
    """Which broker a fault can be done to."""
    return ROLES


def experiment(draft: Draft) -> Json:
    """The experiment that `draft` describes. Raises `UsageError` for what does not fit together."""
    made: Json = loads(shipped()[TEMPLATE])
    hits = _hits(draft)
    made["title"] = draft.title or f"Kafka recovers {'once healed' if draft.healed else 'by itself'}: {hits}"
    made["description"] = f"{hits}, under load with acks=all. Drafted with 'chaos drills new'."
    made["tags"] = ["kafka", draft.fault]
    needs = [f"the program {draft.inject[0]}", "KAFKA_BOOTSTRAP_SERVERS, or the lab"] if draft.inject else ["the lab"]
    made["extensions"] = [{"name": EXTENSION, "hits": hits, "minutes": MINUTES, "needs": needs}]
    if draft.bootstrap:
        made["configuration"]["kafka_bootstrap_servers"]["default"] = draft.bootstrap
    if draft.fault in NETWORKS and not draft.inject:
        _control(made, "lab")["options"] = {"network": NETWORKS[draft.fault]}
    _set_load(_control(made, "observe"), draft)
    _set_limits(made, draft)
    _set_method(made, draft)
    return made


def text_of(made: Json) -> bytes:
    """The experiment as a file's content."""
    return (json.dumps(made, indent=2, ensure_ascii=False) + "\n").encode()


def _hits(draft: Draft) -> str:
    which = {
        "leader": "the leader of the drill's first partition",
        "followers": "the followers of the drill's first partition",
        "controller": "the active controller",
        "random": "a broker at random",
        "id": f"broker {draft.broker_id}",
    }.get(draft.role, draft.role)
    return f"{draft.fault}{' by command' if draft.inject else ''} of {which}"


def _set_load(observe: Json, draft: Draft) -> None:
    observe["name"] = draft.name
    observe["rate_per_s"] = draft.rate_per_s
    workload = observe["workload_arguments"]
    workload["partitions"] = draft.partitions
    if draft.topic:
        workload["topic"] = draft.topic
    if draft.healed:
        observe["parameters"] = {"recovery": "healed"}


def _set_limits(made: Json, draft: Draft) -> None:
    """The objectives as tolerances, which are the only place where they stand."""
    limits = {
        "rto_judged_s": [0, draft.objective.rto_s],
        "rpo_judged_s": [0, draft.objective.rpo_s],
        "lost": [0, draft.objective.max_lost],
    }
    hypothesis = made["steady-state-hypothesis"]
    if draft.objective.max_lost is None:
        hypothesis["probes"] = [it for it in hypothesis["probes"] if it["tolerance"]["target"] != "lost"]
    for probe in hypothesis["probes"]:
        tolerance = probe["tolerance"]
        tolerance["range"] = limits.get(tolerance["target"], tolerance["range"])


def _set_method(made: Json, draft: Draft) -> None:
    fault, wait, heal, whole = made["method"]
    wait["provider"]["arguments"]["timeout_s"] = draft.objective.rto_s
    fault["name"], heal["name"], whole["name"] = FAULT, HEAL, WAIT
    fault["provider"]["func"] = f"{draft.fault}_broker"
    fault["provider"]["arguments"] = _arguments(draft)
    if draft.healed:
        fault["pauses"] = {"after": HURT_S}
    made["method"] = [fault, heal, whole] if draft.healed else [fault, wait, heal, whole]
    made["rollbacks"] = [heal]


def _arguments(draft: Draft) -> Json:
    """The arguments of the fault's action: of the role, and the user's own in the types that the action takes."""
    action = _action(draft.fault)
    if action is None:
        raise UsageError(f"there is no fault {draft.fault!r}.", f"choose one of {', '.join(faults())}.")
    known = {name: it for name, it in inspect.signature(action).parameters.items() if name not in _HANDED}
    ours: Json = {"role": draft.role}
    if draft.role in ("leader", "followers"):
        ours["partition"] = 0
    if draft.role == "id":
        ours["broker_id"] = draft.broker_id
    if draft.inject or draft.heal:
        ours |= _commands(draft, known)
    given = {name: _typed(name, text, known) for name, text in draft.arguments.items()}
    return {**{name: value for name, value in ours.items() if name in known}, **given}


_HANDED = ("configuration", "secrets")


def _commands(draft: Draft, known: Mapping[str, inspect.Parameter]) -> Json:
    """The arguments by which an action does the user's own commands instead."""
    if "target" not in known:
        raise UsageError(f"the fault {draft.fault!r} hits the lab only.", f"choose one of {', '.join(_by_command())}.")
    if not draft.inject or not draft.heal:
        raise UsageError(
            "a fault by command needs two commands.", "give both --inject and --heal; heal may be repeated."
        )
    check = {"check": list(draft.check)} if draft.check else {}
    return {"target": "command", "inject": list(draft.inject), "heal": list(draft.heal), **check}


def _by_command() -> list[str]:
    actions_of = {name: _action(name) for name in faults()}
    return [name for name, it in actions_of.items() if it and "target" in inspect.signature(it).parameters] or ["none"]


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


def _action(fault: str) -> Callable[..., Any] | None:
    found: Callable[..., Any] | None = getattr(actions, f"{fault}_broker", None)
    return found


def _control(made: Json, name: str) -> Json:
    arguments: Json = next(it["provider"]["arguments"] for it in made["controls"] if it["name"] == name)
    return arguments
