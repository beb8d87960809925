"""The parameters of measuring recovery, with their defaults. Printed with each result."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from chaosdrills.errors import UsageError

LEAST = 1e-6
Recovery = Literal["self", "healed"]


@dataclass(frozen=True)
class Parameters:
    """How recovery is measured. Seconds, but for `recovered_ratio` (a share) and `recovery`.

    `stable_s`: how long service must be good to count as restored. `recovered_ratio`: the share of the baseline that
    counts as full throughput. `slow_s`: an acknowledgement later than this is bad. `gap_s`: the shortest span without
    acknowledgements that is an outage. `baseline_s`: how long before the fault the baseline looks back. `watch_s`:
    how long load must go on after the last begin. `fresh_s`: the age of data that a reader may see. `recovery`:
    ``self`` if the service must recover before it is healed, ``healed`` if the heal is part of its recovery.
    """

    stable_s: float = 5.0
    recovered_ratio: float = 0.9
    slow_s: float = 1.0
    gap_s: float = 0.5
    baseline_s: float = 10.0
    watch_s: float = 10.0
    fresh_s: float = 5.0
    recovery: Recovery = "self"

    def __post_init__(self) -> None:
        if self.recovery not in ("self", "healed"):
            raise UsageError(f"recovery is {self.recovery!r}.", "use 'self' or 'healed'.")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "recovery":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
                raise UsageError(f"{field.name} is {value!r}.", "give a number from 0 up, in seconds.")
            if value < LEAST and field.name in ("stable_s", "slow_s", "baseline_s", "recovered_ratio"):
                raise UsageError(f"{field.name} is {value:g}.", f"give a number from {LEAST:g} up.")

    def as_dict(self) -> dict[str, Any]:
        """A flat JSON object, in the order of definition."""
        return asdict(self)
