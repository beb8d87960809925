"""The preview of one experiment, as a plain dict for people and for JSON."""

import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.faults import heal_log, lock
from chaosdrills.faults.healing import what
from chaosdrills.faults.lab import is_lab
from chaosdrills.host import nodes
from chaosdrills.lab import lifecycle
from chaosdrills.observe.arguments import faults_of, heals_of
from chaosdrills.preview import clusters
from chaosdrills.preview.foreign import described
from chaosdrills.preview.hiding import Hiding
from chaosdrills.preview.loading import Resolved, load

KAFKA_ACTIONS = "chaosdrills.kafka.actions"
PREVIEWS = {module: module.replace("actions", "preview") for module in (KAFKA_ACTIONS, *clusters.SERVICES)}
LAB_CONTROL = "chaosdrills.lab.control"
OBSERVE_CONTROL = "chaosdrills.observe.control"


def preview(source: str, variables: Sequence[str] = ()) -> tuple[dict[str, Any], DrillError | None]:
    """What the experiment would do now, and the error that it would end with before it does it, if it would.

    `{"experiment", "cluster": {"endpoint", "kind", "brokers", "degraded"} | None, "faults": [{"name", "means", "hits":
    [...], "then", "bounds", "refused", "later"}], "heals": [{"name", "where", "how"}], "rollbacks": {"strategy",
    "safe"}, "lock", "outstanding": [...]}`; `later` is true of faults after the first: things may have changed by then.
    Raises `DrillError` if the experiment cannot be used or its cluster does not answer.
    """
    resolved = load(source, variables)
    hiding = Hiding.of(resolved)
    observe = _control(resolved, OBSERVE_CONTROL)
    actions = _named(resolved, observe)
    scene, cluster = _cluster(resolved, observe, any(_is_ours(one) for one in actions["faults"]))
    if service := next(filter(None, map(clusters.service_of, actions["faults"])), ""):
        scene, cluster = clusters.scene_of(service, resolved, _control(resolved, LAB_CONTROL))
    faults: list[dict[str, Any]] = []
    errors = _blockers()
    for activity in actions["faults"]:
        fault, error = _fault(activity, resolved, scene)
        faults.append({**fault, "later": bool(faults)})
        errors += [error] if error is not None else []
    found = {
        "experiment": str(resolved.experiment["title"]),
        "cluster": cluster,
        "faults": faults,
        "heals": [_heal(one, where, resolved) for one, where in actions["heals"]],
        "rollbacks": {"strategy": resolved.rollbacks, "safe": resolved.rollbacks == "always"},
        "lock": lock.held_by(),
        "outstanding": _outstanding(),
    }
    return hiding.hide(found), next(iter(errors), None)


def _named(resolved: Resolved, observe: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """The method's faults; and the heals, each with where it stands."""
    experiment, given = resolved.experiment, observe or {}
    method, rollbacks = experiment.get("method", []), experiment.get("rollbacks", [])
    faults, heals = faults_of(experiment, given.get("faults")), heals_of(experiment, given.get("heals"))

    def is_fault(one: dict[str, Any]) -> bool:
        ours = _room(one)
        return _func(one) in ours.FAULTS if ours else one.get("name") in faults and not _is_known(one)

    def is_heal(one: dict[str, Any]) -> bool:
        ours = _room(one)
        return _func(one) in ours.HEALS if ours else one.get("name") in heals

    placed = [(one, "method") for one in method] + [(one, "rollbacks") for one in rollbacks]
    return {"faults": [one for one in method if is_fault(one)], "heals": [it for it in placed if is_heal(it[0])]}


def _cluster(resolved: Resolved, observe: Mapping[str, Any] | None, wanted: bool) -> tuple[Any, dict[str, Any] | None]:
    """The scene of the faults on brokers, and what is said of it; nothing where no action needs it."""
    if not wanted:
        return None, None
    from chaosdrills.kafka import preview as kafka
    from chaosdrills.kafka.admin import connection_of
    from chaosdrills.kafka.arguments import Arguments

    workload = (observe or {}).get("workload_arguments") or {}
    replicas = int(workload.get("replication_factor") or Arguments.replication_factor)
    own = kafka.DRILL_TOPIC if observe is not None else ""
    topic = str(workload.get("topic") or resolved.configuration.get("kafka_topic") or own)
    to_come = _lab(resolved)
    connection = connection_of(resolved.configuration, _all_secrets(resolved))
    if to_come is not None:
        scene, kind = kafka.Scene(connection, to_come, topic, replicas), "a lab that will be started"
    else:
        scene, kind = kafka.look(connection, topic, replicas), "a cluster that is not the lab"
        kind = "the lab, which runs" if is_lab("kafka", connection.bootstrap_servers) else kind
    seen = {"kind": kind, "brokers": len(scene.brokers), "degraded": scene.lacks}
    return scene, {"endpoint": connection.bootstrap_servers, **seen}


def _lab(resolved: Resolved) -> Sequence[int] | None:
    """The nodes of the lab that the experiment will start; None if it starts none.

    As the lab's control does: a lab that runs is used, and the configuration's address is its own then.
    """
    control = _control(resolved, LAB_CONTROL)
    if control is None or control.get("service") != "kafka":
        return None
    module, configuration = lifecycle.service_module("kafka"), resolved.configuration
    given = str(configuration.get("kafka_bootstrap_servers") or module.DEFAULT_ENDPOINT)
    if _addresses(given) != _addresses(module.DEFAULT_ENDPOINT):
        return None
    cluster = nodes.load("kafka")
    if cluster is not None and all(node.alive for node in cluster.nodes):
        configuration["kafka_bootstrap_servers"] = cluster.endpoint
        return None
    configuration["kafka_bootstrap_servers"] = given
    return [int(node) for node in importlib.import_module("chaosdrills.lab.kafka").NODES]


def _fault(activity: dict[str, Any], resolved: Resolved, scene: Any) -> tuple[dict[str, Any], DrillError | None]:
    """What is said of one fault, and the error that it would end with."""
    provider, name = activity["provider"], activity["name"]
    if clusters.service_of(activity):
        found, error = clusters.foreseen(activity, resolved, scene)
        return _said(name, _func(activity), {**found, "refused": error.message if error else ""}), error
    if not _is_ours(activity):
        means = described(provider, resolved.arguments(provider, hidden=True))
        then = "what is known to it alone; it is marked by the observe control"
        return _said(name, f"another extension's action: {means}", {"then": then}), None
    from chaosdrills.kafka import preview as kafka

    try:
        signature = inspect.signature(getattr(importlib.import_module(KAFKA_ACTIONS), _func(activity)))
        bound = signature.bind(**resolved.arguments(provider))
        bound.apply_defaults()
        found = kafka.foresee(_func(activity), bound.arguments, resolved.secrets_of(provider), scene)
    except DrillError as refused:
        found = {"refused": refused}
    error = found.pop("refused")
    return _said(name, _func(activity), {**found, "refused": error.message if error else ""}), error


def _said(name: str, means: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "means": means, "hits": [], "then": "", "bounds": [], "refused": "", **more}


def _heal(activity: dict[str, Any], where: str, resolved: Resolved) -> dict[str, Any]:
    provider = activity["provider"]
    ours = _room(activity)
    if ours:
        how = ours.HEALS[_func(activity)]
    else:
        how = f"another extension's action: {described(provider, resolved.arguments(provider, hidden=True))}"
    return {"name": activity["name"], "where": where, "how": how}


def _blockers() -> list[DrillError]:
    """What would keep any fault from being injected now."""
    errors: list[DrillError] = []
    if holder := lock.held_by():
        errors.append(
            UnavailableError(f"another drill holds the lock: {holder}.", "wait until it has ended, or end it first.")
        )
    elif left := _outstanding():
        errors.append(
            UnavailableError(f"an earlier drill left something broken: {', '.join(left)}.", "run 'chaos drills heal'.")
        )
    return errors


def _outstanding() -> list[str]:
    """The faults in the heal log, and the entries that cannot be read."""
    entries, damaged = heal_log.outstanding()
    return [*map(what, entries), *(f"a damaged heal log entry, {each.path}" for each in damaged)]


def _control(resolved: Resolved, module: str) -> dict[str, Any] | None:
    """The arguments of the experiment's control from `module`; None if it has none."""
    for control in _controls(resolved):
        provider = control.get("provider") or {}
        if provider.get("module") == module:
            arguments: dict[str, Any] = resolved.arguments(provider)
            return arguments
    return None


def _controls(resolved: Resolved) -> Iterator[Mapping[str, Any]]:
    yield from (one for one in resolved.experiment.get("controls", []) if isinstance(one, Mapping))


def _all_secrets(resolved: Resolved) -> dict[str, Any]:
    """The service's group of the experiment's secrets: what the workload is given too."""
    group = resolved.secrets.get("kafka")
    return dict(group) if isinstance(group, Mapping) else {}


def _is_ours(activity: Mapping[str, Any]) -> bool:
    return bool((activity.get("provider") or {}).get("module") == KAFKA_ACTIONS)


def _room(activity: Mapping[str, Any]) -> Any:
    """The preview of the service whose action this is; None for what is no action on a service of ours."""
    module = (activity.get("provider") or {}).get("module")
    return importlib.import_module(PREVIEWS[module]) if module in PREVIEWS else None


def _is_known(activity: Mapping[str, Any]) -> bool:
    """Whether it is one of our own actions that is no fault: it marks nothing, whatever it is called."""
    return str((activity.get("provider") or {}).get("module", "")).startswith("chaosdrills.")


def _func(activity: Mapping[str, Any]) -> str:
    return str(activity["provider"]["func"])


def _addresses(endpoint: str) -> set[str]:
    return {address.strip() for address in endpoint.split(",")}
