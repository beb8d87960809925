"""What the observe control was told: the workload, how it is driven, and how its record is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.core.judge import Limits
from chaosdrills.core.parameters import Parameters
from chaosdrills.observe.conditions import Conditions


@dataclass(frozen=True)
class Plan:
    """The arguments of one drill.

    `workload` is an import path ``module:Class``; `arguments` are its own. `rate_per_s` operations a second. `polls`
    are endpoints to poll beside the load, as `chaosdrills.observe.endpoints` takes them; `not_polled` are the names of
    those without a URL. `watches` are counts to sample, as `chaosdrills.observe.watches` takes them. Timeouts in
    seconds.
    """

    service: str
    workload: str
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rate_per_s: float = 200.0
    limits: Limits = field(default_factory=Limits)
    parameters: Parameters = field(default_factory=Parameters)
    abort_when: Conditions | None = None
    polls: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    watches: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    not_polled: tuple[str, ...] = ()
    start_timeout_s: float = 60.0
    baseline_timeout_s: float = 60.0
    settle_timeout_s: float = 60.0
    drain_timeout_s: float = 60.0
    readback_timeout_s: float = 300.0
