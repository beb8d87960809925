"""Values that workloads and actions are given, checked. Configuration and environment often have them as texts.

All raise `UsageError` that names the value.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chaosdrills.errors import UsageError

DAY_S = 86_400.0


def refuse_unknown(whose: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a name that is none of `known`, and say which was meant. `whose` they are: "the Kafka workload"."""
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known)}."
            raise UsageError(f"{whose} has no argument {name!r}.", hint)


def count(name: str, value: Any) -> int:
    """A whole number from 1."""
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value) if len(value) < 20 else -1
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 1 << 31:
        raise UsageError(f"{name} is {value!r}.", "give a whole number from 1 up.")
    return value


def seconds(name: str, value: Any) -> float:
    """A time in seconds, above 0."""
    return _between(name, value, 1e6, "give seconds, above 0.")


def seconds_of_a_day(name: str, value: Any) -> float:
    """A time in seconds, above 0 and below a day."""
    return _between(name, value, DAY_S, "give seconds, above 0 and below a day.")


def truth(name: str, value: Any) -> bool:
    """True or false."""
    texts = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, str) and value.lower() in texts:
        return texts[value.lower()]
    if not isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}.", "give true or false.")
    return value


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """An object. What it holds may be secret, and is not shown."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{name} is not an object.", 'write {"name": value}.')
    return value


def _between(name: str, value: Any, below: float, hint: str) -> float:
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 < number < below:
        raise UsageError(f"{name} is {value!r}.", hint)
    return number
