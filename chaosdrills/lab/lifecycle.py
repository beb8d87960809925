"""Up, down and status of a lab, the same for every service.

`up` and `down` of one service exclude each other. While a lab starts it belongs to the process that starts it, so
that nothing is left if that process dies. `down` kills at once, since the data is thrown away, and keeps the nodes'
logs and settings for a look afterwards.
"""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults import heal_log
from chaosdrills.host import network, nodes
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import Identity, is_alive, this_process, wait_until
from chaosdrills.lab import supervision, users
from chaosdrills.lab.progress import Progress, quiet

SERVICES = {service: f"chaosdrills.lab.{service}" for service in ("kafka", "timescaledb", "redis")}
FEAST = "feast"
"""What the redis lab's option of that name needs, which is prepared apart: it is large."""
START_TIMEOUT_S = 90.0
HEALTHY_WITHIN_S = 5.0


class Service(Protocol):
    """What a module in `SERVICES` offers; see `chaosdrills.lab.kafka`.

    `ENDPOINT_KEY` is what an experiment's configuration calls the way to its cluster, `DEFAULT_ENDPOINT` the lab's.
    """

    ENDPOINT_KEY: str
    DEFAULT_ENDPOINT: str

    def normalise(self, options: Mapping[str, Any]) -> dict[str, Any]: ...
    def suits(self, name: str, wanted: Any, actual: Any) -> bool: ...
    def prepare(self, progress: Progress) -> None: ...
    def build(self, options: Mapping[str, Any], progress: Progress) -> Cluster: ...
    def let_settle(self, node: Node) -> None: ...
    def awaited(self, cluster: Cluster) -> str: ...
    def is_complaint(self, line: str) -> bool: ...
    def addresses(self, endpoint: str) -> set[str]: ...
    def configuration(self, cluster: Cluster) -> dict[str, str]: ...


def service_module(service: str) -> Service:
    """The module that knows `service`. Raises `UsageError` naming those there are."""
    if service not in SERVICES:
        raise UsageError(f"there is no lab for '{service}'.", f"choose one of {', '.join(SERVICES)}.")
    return cast(Service, importlib.import_module(SERVICES[service]))


def prepare(service: str, progress: Progress = quiet) -> None:
    """Make all that a start of `service`, or `FEAST`, needs and that lasts, so that `up` is quick."""
    if service == FEAST:
        from chaosdrills.lab import feature_server

        feature_server.prepare(progress)
    else:
        service_module(service).prepare(progress)


def up(
    service: str,
    options: Mapping[str, Any] | None = None,
    owner: Identity | None = None,
    progress: Progress = quiet,
    timeout_s: float = START_TIMEOUT_S,
) -> Cluster:
    """Start the lab of `service`, or find the healthy one that already runs with the same `options` (those chosen).

    With `owner`, a lab that is started here ends when that process does; one that was found keeps its own owner, and
    is not ended by others while this one lives.
    Raises `UsageError` for options that cannot be used or that differ from those of the lab that runs, and
    `UnavailableError` if it does not start within `timeout_s`; then nothing of it is left.
    """
    module = service_module(service)
    if not 0 < timeout_s < 1e6:
        raise UsageError(f"the lab's timeout_s is {timeout_s}.", "give seconds, above 0.")
    wanted = module.normalise(options or {})
    with nodes.exclusive(service, supervision.LOCK_TIMEOUT_S):
        found = _find(module, service, wanted, owner, progress)
        return found or _start(module, service, wanted, owner, progress, timeout_s)


def down(service: str, force: bool = True) -> bool:
    """End the lab of `service` and remove its data. False if there was none.

    Without `force` raises `UnavailableError` while another process's drill is under way on it.
    """
    service_module(service)
    orphans = supervision.end_orphans()
    with nodes.exclusive(service, supervision.LOCK_TIMEOUT_S):
        if not force:
            _refuse_under_a_drill(service)
        return supervision.end(service) or service in orphans


def _refuse_under_a_drill(service: str) -> None:
    try:
        cluster = nodes.load(service)
    except UnavailableError:  # damaged: nobody can use it
        return
    if cluster is not None:
        _refuse_to_disturb(service, cluster, this_process())
    others = [user for user in users.living(service) if user != this_process()]
    if others:
        raise UnavailableError(
            f"process {others[0].pid} runs a drill on the {service} lab.",
            f"wait for its end, or run 'chaos drills abort'; 'chaos drills lab down {service} --force' if all fails.",
        )


def _find(
    module: Service, service: str, wanted: dict[str, Any], owner: Identity | None, progress: Progress
) -> Cluster | None:
    """The lab that runs, if it can be used; what is left of one that cannot is ended."""
    cluster = nodes.load(service)
    if cluster is not None:
        _refuse_to_disturb(service, cluster, owner)
        _mend_network(cluster, progress)
    if cluster is None or not _healthy(module, cluster):
        if supervision.end(service):
            progress(f"ended what was left of a {service} lab")
        return None
    for name, value in wanted.items():
        actual = cluster.options.get(name)
        if value is not None and not module.suits(name, value, actual):
            raise UsageError(
                f"a {service} lab runs with another {name}: {_shown(actual)}, not {_shown(value)}.",
                f"run 'chaos drills lab down {service}' first.",
            )
    if owner is not None:
        users.join(service, owner)
    progress(f"found the {service} lab that runs")
    return cluster


def _shown(value: Any) -> Any:
    if value is True:
        return "yes"
    return "none" if value in ("", None, False) else value


def _refuse_to_disturb(service: str, cluster: Cluster, owner: Identity | None) -> None:
    """Raise if somebody else's drill is under way on the lab: a node that it has lost is no reason to clean up."""
    other = cluster.owner if cluster.owner != owner else None
    if other is not None and is_alive(other):
        raise UnavailableError(
            f"the {service} lab belongs to process {other.pid} and ends with it.",
            f"wait for its end, or run 'chaos drills abort'; 'chaos drills lab down {service} --force' if all fails.",
        )
    held = [entry for entry in heal_log.outstanding(service)[0] if entry.held]
    if held:
        raise UnavailableError(
            f"a drill is under way on the {service} lab: it has {held[0].target.label or held[0].fault} outstanding.",
            f"wait for its end, or run 'chaos drills abort'; 'chaos drills lab down {service} --force' if all fails.",
        )


def _mend_network(cluster: Cluster, progress: Progress) -> None:
    """End what a drill that is over has left on the network of a lab."""
    left = network.in_force(cluster.service, cluster.network)
    for effect in left:
        network.lift(cluster.service, cluster.network, effect)
    if left:
        progress(f"mended the network of the {cluster.service} lab, which a drill has left cut or slow")


def _healthy(module: Service, cluster: Cluster) -> bool:
    owned = cluster.owner is None or is_alive(cluster.owner)
    alive = all(node.alive for node in cluster.nodes) and supervision.is_proxied(cluster)
    return owned and alive and wait_until(lambda: not module.awaited(cluster), HEALTHY_WITHIN_S, 0.2)


def _start(
    module: Service,
    service: str,
    options: dict[str, Any],
    owner: Identity | None,
    progress: Progress,
    timeout_s: float,
) -> Cluster:
    try:
        cluster = module.build(options, progress)
        progress(f"starting {len(cluster.nodes)} {service} nodes at {cluster.endpoint}")
        supervision.start(cluster, owner or this_process(), module.let_settle)
        supervision.wait_ready(cluster, module.awaited, module.is_complaint, timeout_s)
        if owner is None:
            supervision.disown(cluster)
    except BaseException as error:
        supervision.end(service)
        if isinstance(error, OSError):
            raise UnavailableError(
                f"cannot write the {service} lab's files: {error}.", f"make room in {nodes.cluster_dir(service)}."
            ) from error
        raise
    return cluster
