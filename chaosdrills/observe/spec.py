"""What an observer is told at its start. It goes over the socket: arguments may hold secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaosdrills.errors import UsageError


@dataclass(frozen=True)
class ObserverSpec:
    """What to observe and how.

    `workload` is an import path ``module:Class``, `arguments` are its own (never written down, never shown). `record`
    is the file to make. `rate_per_s` operations a second, open loop; 0 is full rate. `max_in_flight` bounds what is
    sent and unanswered; what is due beyond it is recorded as failed. `slow_s` and `gap_s` are those of
    `chaosdrills.core.parameters`, for the live figures only. `eof_drain_s` is how long acknowledgements are waited for
    when the drill has died. `polls` are endpoints to poll, as `chaosdrills.observe.endpoints` takes them; their URLs
    may be secret, as arguments are. `watches` are counts to sample, as `chaosdrills.observe.watches` takes them.
    """

    drill_id: str
    service: str
    workload: str
    record: Path
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rate_per_s: float = 200.0
    max_in_flight: int = 20_000
    slow_s: float = 1.0
    gap_s: float = 0.5
    eof_drain_s: float = 5.0
    polls: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    watches: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.max_in_flight <= 1_000_000:
            raise UsageError(f"max_in_flight is {self.max_in_flight}.", "use 1 to 1,000,000 operations.")

    def as_dict(self) -> dict[str, Any]:
        """A JSON object, secrets included: for the socket only."""
        return {**asdict(self), "record": str(self.record)}

    @staticmethod
    def of(data: Mapping[str, Any]) -> "ObserverSpec":
        """The spec of `as_dict`."""
        return ObserverSpec(**{**data, "record": Path(data["record"])})
