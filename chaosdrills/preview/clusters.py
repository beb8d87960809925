"""The preview of faults on PostgreSQL and Redis: the cluster that an experiment means, and what each action would do.

Each service has a `way_of`, which says how it is reached, and a `preview` with `look` and `foresee`.
"""

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

SERVICES = {f"chaosdrills.{service}.actions": service for service in ("timescaledb", "redis")}


@dataclass(frozen=True)
class Scene:
    """How the cluster of `service` is reached, and whether it is a lab that is still to be started."""

    service: str
    way: Any
    to_come: bool


def service_of(activity: Mapping[str, Any]) -> str:
    """The service of which it is an action; empty if it is of none of these."""
    return SERVICES.get((activity.get("provider") or {}).get("module", ""), "")


def scene_of(service: str, resolved: Resolved, lab: Mapping[str, Any] | None) -> tuple[Scene, dict[str, Any]]:
    """The scene of the faults, and what is said of it. `lab` are the arguments of the lab control, if there is one."""
    to_come = _use_lab(service, resolved, lab)
    group = resolved.secrets.get(service)
    way_of = _module(service, "way").way_of
    scene = Scene(service, way_of(resolved.configuration, group if isinstance(group, Mapping) else {}), to_come)
    found = _module(service, "preview").look(scene.way, to_come)
    kind = "the lab, which runs" if is_lab(service, found["endpoint"]) else "a cluster that is not the lab"
    kind = "a lab that will be started" if to_come else kind
    return scene, {"kind": kind, **found}


def foreseen(activity: dict[str, Any], resolved: Resolved, scene: Scene) -> tuple[dict[str, Any], DrillError | None]:
    """What is known of one fault, and the error that it would end with."""
    provider, func = activity["provider"], str(activity["provider"]["func"])
    try:
        signature = inspect.signature(getattr(_module(scene.service, "actions"), func))
        bound = signature.bind(**resolved.arguments(provider))
        bound.apply_defaults()
        secrets, foresee = resolved.secrets_of(provider), _module(scene.service, "preview").foresee
        found: dict[str, Any] = foresee(func, bound.arguments, secrets, scene.way, scene.to_come)
    except DrillError as refused:
        found = {"refused": refused}
    return found, found.pop("refused")


def _module(service: str, name: str) -> Any:
    """A module of the service's, whose driver is needed for nothing else."""
    return importlib.import_module(f"chaosdrills.{service}.{name}")


def _use_lab(service: str, resolved: Resolved, lab: Mapping[str, Any] | None) -> bool:
    """Have the configuration lead to the lab if one runs, as its control does; true if one will be started."""
    if lab is None or lab.get("service") != service:
        return False
    module, configuration = lifecycle.service_module(service), resolved.configuration
    given = str(configuration.get(module.ENDPOINT_KEY) or module.DEFAULT_ENDPOINT)
    if module.addresses(given) != module.addresses(module.DEFAULT_ENDPOINT):
        return False
    configuration[module.ENDPOINT_KEY] = given
    cluster = nodes.load(service)
    if cluster is None or not all(node.alive for node in cluster.nodes):
        return True
    configuration.update(module.configuration(cluster))
    return False
