"""Up, down and status of a lab, the same for every service.

`up` and `down` of one service exclude each other. A lab is written down before it is waited for, and while it starts
it belongs to the process that starts it: a guard (`chaosdrills.lab.guard`) ends it if that process dies. `down` kills
at once, since the data is thrown away, and keeps the nodes' logs and settings for a look afterwards.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import Identity, identify, is_alive, spawn, stop, wait_until
from chaosdrills.lab.progress import Progress, quiet

SERVICES = {"kafka": "chaosdrills.lab.kafka"}
START_TIMEOUT_S = 90.0
HEALTHY_WITHIN_S = 5.0
LOG_LINES = 8


class Service(Protocol):
    """What a module in `SERVICES` offers; see `chaosdrills.lab.kafka`."""

    DEFAULT_ENDPOINT: str

    def normalise(self, options: Mapping[str, Any]) -> dict[str, Any]: ...
    def prepare(self, progress: Progress) -> None: ...
    def build(self, options: Mapping[str, Any], progress: Progress) -> Cluster: ...
    def awaited(self, cluster: Cluster) -> str: ...
    def remove_data(self, service: str) -> None: ...
    def complaint(self, line: str) -> bool: ...


def service_module(service: str) -> Service:
    """The module that knows `service`. Raises `UsageError` naming those there are."""
    if service not in SERVICES:
        raise UsageError(f"there is no lab for '{service}'.", f"choose one of {', '.join(SERVICES)}.")
    return cast(Service, importlib.import_module(SERVICES[service]))


def prepare(service: str, progress: Progress = quiet) -> None:
    """Make all that a start of `service` needs and that lasts, so that `up` is quick."""
    service_module(service).prepare(progress)


def up(
    service: str,
    options: Mapping[str, Any] | None = None,
    owner: Identity | None = None,
    progress: Progress = quiet,
    timeout_s: float = START_TIMEOUT_S,
) -> Cluster:
    """Start the lab of `service`, or find the healthy one that already runs with the same `options`.

    With `owner`, the lab ends when that process does. Raises `UsageError` for options that cannot be used or differ
    from those of the lab that runs, `UnavailableError` if it does not start; then nothing of it is left.
    """
    module = service_module(service)
    wanted = module.normalise(options or {})
    with _alone(service, timeout_s):
        found = _find(module, service, wanted, owner, progress)
        return found or _start(module, wanted, owner, progress, timeout_s)


def down(service: str, owner: Identity | None = None) -> bool:
    """End the lab of `service` and remove its data. False if there was none (or, with `owner`, none of that owner)."""
    module = service_module(service)
    with _alone(service, START_TIMEOUT_S):
        cluster = nodes.load(service)
        if cluster is None or (owner is not None and cluster.owner != owner):
            return False
        _end(module, cluster)
        return True


@contextmanager
def _alone(service: str, timeout_s: float) -> Iterator[None]:
    with nodes.exclusive(service, timeout_s):
        yield


def _find(
    module: Service, service: str, wanted: dict[str, Any], owner: Identity | None, progress: Progress
) -> Cluster | None:
    """The lab that runs, if it can be used; one that cannot is ended."""
    cluster = nodes.load(service)
    if cluster is None:
        return None
    if not _healthy(module, cluster):
        progress(f"cleaning up a {service} lab that is not whole")
        _end(module, cluster)
        return None
    if cluster.owner not in (None, owner):
        raise UnavailableError(
            f"the {service} lab belongs to process {cluster.owner.pid} and ends with it.",
            f"wait for its end, or run 'chaos drills lab down {service}'.",
        )
    if cluster.options != wanted:
        raise UsageError(
            f"a {service} lab runs with other options: {cluster.options}, not {wanted}.",
            f"run 'chaos drills lab down {service}' first.",
        )
    return cluster


def _healthy(module: Service, cluster: Cluster) -> bool:
    owned = cluster.owner is None or is_alive(cluster.owner)
    alive = all(node.alive for node in cluster.nodes)
    return owned and alive and wait_until(lambda: not module.awaited(cluster), HEALTHY_WITHIN_S, 0.2)


def _start(
    module: Service, options: dict[str, Any], owner: Identity | None, progress: Progress, timeout_s: float
) -> Cluster:
    cluster = module.build(options, progress)
    progress(f"starting {len(cluster.nodes)} {cluster.service} nodes at {cluster.endpoint}")
    cluster.owner = owner or identify(os.getpid())
    try:
        _spawn_all(cluster)
        _await(module, cluster, timeout_s)
        if owner is None:
            _disown(cluster)
    except BaseException:
        _end(module, cluster)
        raise
    return cluster


def _spawn_all(cluster: Cluster) -> None:
    nodes.save(cluster)
    cluster.guard = _spawn_guard(cluster)
    for node in cluster.nodes:
        node.process = spawn(node.argv, Path(node.log), Path(node.cwd), node.env)
        nodes.save(cluster)


def _spawn_guard(cluster: Cluster) -> Identity:
    owner = cluster.owner
    assert owner is not None
    argv = [sys.executable, "-m", "chaosdrills.lab.guard", cluster.service, str(owner.pid), str(owner.start_ticks)]
    return spawn(argv, nodes.cluster_dir(cluster.service) / "guard.log", Path("/"))


def _disown(cluster: Cluster) -> None:
    guard, cluster.owner, cluster.guard = cluster.guard, None, None
    nodes.save(cluster)
    if guard is not None:
        stop([guard], grace_s=0)


def _await(module: Service, cluster: Cluster, timeout_s: float) -> None:
    waiting = ""

    def settled() -> bool:
        nonlocal waiting
        _require_alive(module, cluster)
        waiting = module.awaited(cluster)
        return not waiting

    if not wait_until(settled, timeout_s, 0.05):
        raise UnavailableError(
            f"the {cluster.service} lab did not start in {timeout_s:g} s; it waited for {waiting}.",
            f"look into the logs in {nodes.cluster_dir(cluster.service)}, or give it more time (--timeout-s).",
        )


def _require_alive(module: Service, cluster: Cluster) -> None:
    for node in cluster.nodes:
        if not node.alive:
            lines = "\n".join(f"    {line}" for line in _complaints(module, node))
            raise UnavailableError(
                f"node {node.id} of the {cluster.service} lab ended while starting. The end of its log:\n{lines}",
                f"correct what the log names; all of it is in {node.log}.",
            )


def _complaints(module: Service, node: Node) -> list[str]:
    lines = Path(node.log).read_text(errors="replace").splitlines()
    telling = [line for line in lines if module.complaint(line)]
    return (telling or lines)[-LOG_LINES:]


def _end(module: Service, cluster: Cluster) -> None:
    guards = [cluster.guard] if cluster.guard and cluster.guard.pid != os.getpid() else []
    stop([*guards, *(node.process for node in cluster.nodes if node.process)], grace_s=0)
    module.remove_data(cluster.service)
    nodes.forget(cluster.service)
