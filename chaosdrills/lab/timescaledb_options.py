"""What can be chosen of the PostgreSQL lab, checked before anything is started.

Patroni corrects what it cannot use, or leaves it out, and says so only in its log: a drill on such a lab would measure
something else than it says. So names and bounds are checked here, and PostgreSQL itself is asked about its parameters.
"""

import re
import subprocess
from collections.abc import Mapping
from typing import Any

from chaosdrills.errors import UsageError
from chaosdrills.lab import choices, networks
from chaosdrills.lab.patroni_settings import DYNAMIC, OWNED
from chaosdrills.lab.postgresql_programs import Programs

NAMES = ("base_port", "settings", "patroni", "network")
TRIAL_S = 20.0
# Patroni's own names for what it can be told while it runs, with the least value of each that is a number.
PATRONI: Mapping[str, int | None] = {
    "ttl": 20,
    "loop_wait": 1,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 0,
    "maximum_lag_on_syncnode": -1,
    "primary_start_timeout": 0,
    "primary_stop_timeout": 0,
    "max_timelines_history": 0,
    "member_slots_ttl": 0,
    "synchronous_node_count": 1,
    "synchronous_mode": None,
    "synchronous_mode_strict": None,
    "check_timeline": None,
    "failsafe_mode": None,
}
_NAME, _SIGNS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*"), "'_' and '.'"


def normalise(options: Mapping[str, Any], highest_offset: int) -> dict[str, Any]:
    """`options` checked; `highest_offset` is how far the last port is from the first. Raises `UsageError`.

    `{"base_port": int, "settings": {str: str}, "patroni": {str: int | bool | str}, "network": str}`; port and network
    are None where they were not chosen.
    """
    unknown = sorted(set(options) - set(NAMES))
    if unknown:
        raise UsageError(f"the timescaledb lab has no option '{unknown[0]}'.", f"use {', '.join(NAMES)}.")
    return {
        "base_port": choices.base_port(options.get("base_port"), highest_offset),
        "settings": _settings(options.get("settings")),
        "patroni": _patroni(choices.pairs("patroni", options.get("patroni"), _NAME, _SIGNS)),
        "network": networks.normalise(options.get("network")),
    }


def require_taken(programs: Programs, parameters: Mapping[str, str]) -> None:
    """Raise `UsageError` with PostgreSQL's own words if it does not take these parameters."""
    asked = [word for name, value in parameters.items() for word in ("-c", f"{name}={value}")]
    trial = [str(programs.bindir / "postgres"), "-C", "port", "-c", "config_file=/dev/null", *asked]
    done = subprocess.run(trial, capture_output=True, text=True, timeout=TRIAL_S, check=False)
    refused = re.search(r"FATAL:\s+(.*)", done.stderr)
    if refused:
        raise UsageError(f"PostgreSQL does not take these settings: {refused[1]}.", "correct the option settings.")


def _settings(given: Any) -> dict[str, str]:
    found = choices.pairs("settings", given, _NAME, _SIGNS)
    for name in found:
        if name in OWNED:
            raise UsageError(f"the setting {name} is the lab's own.", "leave it out.")
    return {name: _text(value) for name, value in found.items()}


def _patroni(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """Patroni's values, which the command line gives as texts."""
    values = {name: _value(name, value) for name, value in pairs.items()}
    whole = {**DYNAMIC, **values}
    if whole["loop_wait"] + 2 * whole["retry_timeout"] > whole["ttl"]:
        raise UsageError(
            f"Patroni's ttl {whole['ttl']} is below loop_wait {whole['loop_wait']} and twice retry_timeout "
            f"{whole['retry_timeout']}.",
            "raise the ttl, or lower the others.",
        )
    return values


def _value(name: str, given: object) -> int | bool | str:
    if name not in PATRONI:
        raise UsageError(f"Patroni has no setting {name!r} that the lab knows.", f"use one of {', '.join(PATRONI)}.")
    least, text = PATRONI[name], _text(given)
    if least is None:
        if text not in ("true", "false") and (name, text) != ("synchronous_mode", "quorum"):
            raise UsageError(f"Patroni's {name} is {given!r}.", "give true or false.")
        return text if text == "quorum" else text == "true"
    if not re.fullmatch(r"-?\d{1,15}", text) or int(text) < least:
        raise UsageError(f"Patroni's {name} is {given!r}.", f"give a whole number from {least} up.")
    return int(text)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
