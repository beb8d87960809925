"""A drill's limits, read from the tolerances of its hypothesis: the only place where they stand."""

from collections.abc import Iterator, Mapping
from typing import Any

from chaosdrills.core.judge import Limits
from chaosdrills.errors import UsageError

_TARGETS = {
    "recovery_time": {"rto_judged_s": "rto_s", "fresh_judged_s": "fresh"},
    "data_loss": {"rpo_judged_s": "rpo_s", "lost": "max_lost"},
    "availability": {"unavailable_judged_s": "max_unavailable_s"},
    "restart_attempts": {"attempts_judged": "max_attempts", "worst_judged": "max_attempts_per_min"},
}


def limits_of(experiment: Mapping[str, Any]) -> Limits:
    """The objectives that the experiment's tolerances set. Raises `UsageError` for one that cannot be judged."""
    found: dict[str, float] = {}
    for name, upper in _bounds(experiment):
        found[name] = min(upper, found.get(name, upper))
    fresh = found.get("fresh")
    if fresh is not None and fresh != found.get("rto_s", fresh):
        raise UsageError(
            f"the tolerances bound fresh_judged_s by {fresh:g} and rto_judged_s by {found['rto_s']:g}.",
            "give both the same limit: fresh data is judged against the RTO.",
        )
    counts = ("max_lost", "max_attempts", "max_attempts_per_min")
    whole = {name: int(found[name]) for name in counts if name in found}
    return Limits(
        rto_s=found.get("rto_s", fresh),
        rpo_s=found.get("rpo_s"),
        fresh=fresh is not None,
        max_unavailable_s=found.get("max_unavailable_s"),
        **whole,
    )


def _bounds(experiment: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """(limit, upper bound) of every tolerance on a figure of ours."""
    for probe in experiment.get("steady-state-hypothesis", {}).get("probes", []):
        provider, tolerance = probe.get("provider", {}), probe.get("tolerance")
        targets = _TARGETS.get(str(provider.get("func")))
        if provider.get("module") != "chaosdrills.observe.probes" or targets is None:
            continue
        target = tolerance.get("target") if isinstance(tolerance, Mapping) else next(iter(targets))
        if target not in targets:
            continue
        yield targets[target], _number(_range(tolerance, target, probe)[1], probe)


def _range(tolerance: Any, target: str, probe: Mapping[str, Any]) -> list[Any]:
    bounds = tolerance.get("range") if isinstance(tolerance, Mapping) and tolerance.get("type") == "range" else None
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise UsageError(
            f"the tolerance of {probe.get('name')!r} is not a range.",
            f'write {{"type": "range", "target": "{target}", "range": [0, LIMIT]}}.',
        )
    return bounds


def _number(bound: Any, probe: Mapping[str, Any]) -> float:
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 <= bound < 1e9:
        raise UsageError(
            f"the tolerance of {probe.get('name')!r} has the upper bound {bound!r}.",
            "write a literal number from 0 up.",
        )
    return bound
