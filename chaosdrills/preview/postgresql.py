"""The preview of faults on PostgreSQL: the cluster that an experiment means, and what each action would do to it."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaosdrills.errors import DrillError
from chaosdrills.faults.lab import is_lab
from chaosdrills.host import nodes
from chaosdrills.lab import lifecycle
from chaosdrills.preview.loading import Resolved
from chaosdrills.timescaledb.way import Way, way_of

SERVICE = "timescaledb"
ACTIONS = "chaosdrills.timescaledb.actions"


@dataclass(frozen=True)
class Scene:
    """How the cluster is reached, and whether it is a lab that is still to be started."""

    way: Way
    to_come: bool


def is_ours(activity: Mapping[str, Any]) -> bool:
    """Whether it is an action on PostgreSQL."""
    return bool((activity.get("provider") or {}).get("module") == ACTIONS)


def scene_of(resolved: Resolved, lab: Mapping[str, Any] | None) -> tuple[Scene, dict[str, Any]]:
    """The scene of the faults, and what is said of it. `lab` are the arguments of the lab control, if there is one."""
    from chaosdrills.timescaledb import preview

    to_come = _use_lab(resolved, lab)
    group = resolved.secrets.get(SERVICE)
    scene = Scene(way_of(resolved.configuration, group if isinstance(group, Mapping) else {}), to_come)
    kind = "the lab, which runs" if is_lab(SERVICE, scene.way.addresses) else "a cluster that is not the lab"
    kind = "a lab that will be started" if to_come else kind
    return scene, {"kind": kind, **preview.look(scene.way, to_come)}


def foreseen(activity: dict[str, Any], resolved: Resolved, scene: Scene) -> tuple[dict[str, Any], DrillError | None]:
    """What is known of one fault, and the error that it would end with."""
    from chaosdrills.timescaledb import preview

    provider, func = activity["provider"], str(activity["provider"]["func"])
    try:
        signature = inspect.signature(getattr(importlib.import_module(ACTIONS), func))
        bound = signature.bind(**resolved.arguments(provider))
        bound.apply_defaults()
        secrets = resolved.secrets_of(provider)
        found = preview.foresee(func, bound.arguments, secrets, scene.way, scene.to_come)
    except DrillError as refused:
        found = {"refused": refused}
    return found, found.pop("refused")


def _use_lab(resolved: Resolved, lab: Mapping[str, Any] | None) -> bool:
    """Have the configuration lead to the lab if one runs, as its control does; true if one will be started."""
    if lab is None or lab.get("service") != SERVICE:
        return False
    module, configuration = lifecycle.service_module(SERVICE), resolved.configuration
    given = str(configuration.get(module.ENDPOINT_KEY) or module.DEFAULT_ENDPOINT)
    if module.addresses(given) != module.addresses(module.DEFAULT_ENDPOINT):
        return False
    configuration[module.ENDPOINT_KEY] = given
    cluster = nodes.load(SERVICE)
    if cluster is None or not all(node.alive for node in cluster.nodes):
        return True
    configuration.update(module.configuration(cluster))
    return False
