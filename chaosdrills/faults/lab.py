"""Which written-down cluster a lab fault may hit: the one that the experiment's clients talk to, and no other."""

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.nodes import Cluster, load


def reachable_lab(service: str, endpoint: str) -> Cluster:
    """The lab of `service`, if `endpoint` (comma-separated host:port) is its own.

    Raises `UsageError` if the experiment was pointed at another cluster, `UnavailableError` if there is no lab.
    """
    cluster = load(service)
    if cluster is None:
        raise UnavailableError(
            f"there is no {service} lab on this machine, and nothing was injected.",
            f"run 'chaos drills lab up {service}'. {_other_ways(service)}",
        )
    asked, own = _addresses(endpoint), _addresses(cluster.endpoint)
    if not asked or not asked <= own:
        raise UsageError(
            f"the experiment talks to {endpoint or 'no server'}, which is not the {service} lab at {cluster.endpoint}: "
            "a lab fault hits nothing but the lab.",
            _other_ways(service),
        )
    return cluster


def is_lab(service: str, endpoint: str) -> bool:
    """Whether `endpoint` is the written-down lab's own. Raises `UnavailableError` if its state is damaged."""
    cluster = load(service)
    asked = _addresses(endpoint)
    return cluster is not None and bool(asked) and asked <= _addresses(cluster.endpoint)


def _other_ways(service: str) -> str:
    """What to do where the cluster is the user's own; the variables are those of the shipped experiments."""
    name = service.upper()
    return (
        "On a cluster of your own give the target 'command' with your own command for 'inject' and 'heal' (in "
        f"shipped experiments: {name}_TARGET, {name}_INJECT, {name}_HEAL); or use an action of another extension, such "
        "as chaosk8s, and name it in the argument 'faults' of the observe control."
    )


def _addresses(endpoint: str) -> set[str]:
    return {address.strip() for address in endpoint.split(",") if address.strip()}
