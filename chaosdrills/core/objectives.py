"""Objectives: the limits set for a service. Never a measured value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaosdrills.errors import UsageError


@dataclass(frozen=True)
class Objective:
    """One service's limits. Seconds; `max_lost` in records (None: not judged); `cadence_days` between drills.

    `max_lost` holds where the service promises that nothing acknowledged is lost (Kafka: acks=all).
    """

    service: str
    rto_s: float
    rpo_s: float
    max_lost: int | None
    cadence_days: int


def parse_objectives(data: Mapping[str, Any], source: str) -> dict[str, Objective]:
    """Objectives by service, from the parsed JSON of `source` (named in errors). Raises `UsageError`."""
    if not isinstance(data, Mapping):
        raise UsageError(f"{source} is not an object of services.", "see the shipped objectives for the form.")
    return {service: _parse(service, entry, source) for service, entry in data.items()}


def _parse(service: str, entry: Any, source: str) -> Objective:
    wanted = {"rto_s", "rpo_s", "max_lost", "cadence_days"}
    if not isinstance(entry, Mapping) or set(entry) != wanted:
        raise UsageError(
            f"{source}: {service} does not have exactly {', '.join(sorted(wanted))}.", "correct that entry."
        )
    for name, value in entry.items():
        if value is None and name == "max_lost":
            continue
        whole = name in ("max_lost", "cadence_days")
        right = isinstance(value, int) if whole else isinstance(value, int | float)
        if isinstance(value, bool) or not right or not 0 <= value < 1e9:
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"{source}: {service}.{name} is {value!r}.", f"give {kind} from 0 up.")
    return Objective(service, **entry)
