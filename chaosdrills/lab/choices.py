"""What is chosen of a lab, as an experiment or a command line gives it, checked. All raise `UsageError`."""

from collections.abc import Mapping
from re import Pattern
from typing import Any

from chaosdrills.errors import UsageError

LOWEST_PORT, HIGHEST_PORT = 1024, 65535


def base_port(value: Any, highest_offset: int) -> int | None:
    """The first port of a lab whose last one is so far from it; None if it was not chosen."""
    if value is None:
        return None
    text, highest = str(value), HIGHEST_PORT - highest_offset
    if isinstance(value, bool) or not text.isdecimal() or not LOWEST_PORT <= int(text) <= highest:
        raise UsageError(f"base_port {value!r} is not a port.", f"choose one from {LOWEST_PORT} to {highest}.")
    return int(text)


def pairs(option: str, given: Any, name: Pattern[str], signs: str) -> dict[str, Any]:
    """An option that is an object, sorted; its names are such as `name` finds, of letters, digits and `signs`."""
    found = given or {}
    if not isinstance(found, Mapping):
        raise UsageError(f"the option {option}, {found!r}, is not an object.", 'write {"name": value, ...}.')
    for each in found:
        if not isinstance(each, str) or not name.fullmatch(each):
            raise UsageError(f"{each!r} is no name of a setting.", f"use letters, digits and {signs}.")
    return {each: found[each] for each in sorted(found)}
