"""What can be chosen of the Redis lab, checked before anything is started.

A server names what it cannot use and ends, a sentinel too: so they are asked, and their own words are shown.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chaosdrills.core.values import truth
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.lab import choices, healer_node, networks, redis_settings
from chaosdrills.lab.redis_listeners import HIGHEST_OFFSET, SENTINELS
from chaosdrills.lab.redis_programs import SERVER, Program, refusal
from chaosdrills.lab.redis_settings import OWNED, PERSISTENCE, QUORUM, SENTINEL

NAMES = ("base_port", "settings", "sentinel", "persistence", "acl", "tls", "network", "healer", "feast")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def normalise(options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` checked. Raises `UsageError`.

    `{"base_port": int, "settings": {str: str}, "sentinel": {str: int}, "persistence": str, "acl": bool, "tls": bool,
    "network": str, "healer": str, "feast": bool}`; all but settings, sentinel and healer are None where they were not
    chosen.
    """
    unknown = sorted(set(options) - set(NAMES))
    if unknown:
        raise UsageError(f"the redis lab has no option '{unknown[0]}'.", f"use {', '.join(NAMES)}.")
    chosen = {
        "base_port": choices.base_port(options.get("base_port"), HIGHEST_OFFSET),
        "settings": _settings(_pairs("settings", options.get("settings"))),
        "sentinel": _sentinel(_pairs("sentinel", options.get("sentinel"))),
        "persistence": _persistence(options.get("persistence")),
        "acl": _truth("acl", options.get("acl")),
        "tls": _truth("tls", options.get("tls")),
        "network": networks.normalise(options.get("network")),
        "healer": _healer(options.get("healer")),
        "feast": _truth("feast", options.get("feast")),
    }
    _refuse_beside_feast(chosen)
    return chosen


def _refuse_beside_feast(chosen: Mapping[str, Any]) -> None:
    for name, what in (("acl", "a password"), ("tls", "TLS")):
        if chosen["feast"] and chosen[name]:
            raise UsageError(
                f"the option feast does not go with {name}: Feast speaks to sentinels without {what}.",
                f"leave {name} out, or feast.",
            )


def require_taken(program: Program, options: Mapping[str, Any]) -> None:
    """Raise `DrillError` with the server's own words if it does not take these settings, or cannot be a sentinel."""
    why = refusal(program, redis_settings.settings_lines(options["settings"]))
    if why:
        raise UsageError(
            f"{program.flavour} {program.version} does not take these settings: {why}.", "correct the option settings."
        )
    why = refusal(program, redis_settings.watching(1, options["sentinel"]), sentinel=True)
    if why:
        raise UnavailableError(
            f"{program.path} does not run as a sentinel: {why}.",
            f"correct the option sentinel, or name another server in {SERVER}.",
        )


def require_tls(program: Program, lines: Sequence[str]) -> None:
    """Raise `UnavailableError` with the server's own words if it does not speak TLS with these settings of its own."""
    why = refusal(program, ["tls-port 0", *lines])
    if why:
        raise UnavailableError(
            f"{program.flavour} {program.version} ({program.path}) does not speak TLS: {why}.",
            f"name a server that is built with it in {SERVER}, such as Debian's; or leave out the option tls.",
        )


def _pairs(option: str, given: Any) -> dict[str, str]:
    """One option that is an object, values as texts."""
    found = choices.pairs(option, given, _NAME, "'-', '_' and '.'")
    for name, value in found.items():
        if _CONTROL.search(str(value)):
            raise UsageError(f"the value of {name} has a line break or another such character in it.", "leave it out.")
    return {name.lower(): _text(value) for name, value in found.items()}


def _settings(pairs: dict[str, str]) -> dict[str, str]:
    for name in pairs:
        if name in OWNED or name.startswith("tls-"):
            raise UsageError(f"the setting {name} is the lab's own.", _INSTEAD.get(name, "leave it out."))
    return pairs


_INSTEAD = {"appendonly": f"use the option persistence ({', '.join(PERSISTENCE)})."}


def _sentinel(pairs: dict[str, str]) -> dict[str, int]:
    for name, text in pairs.items():
        if name not in SENTINEL:
            raise UsageError(f"a sentinel of the lab has no setting {name!r}.", f"use one of {', '.join(SENTINEL)}.")
        highest = len(SENTINELS) if name == QUORUM else 10**9
        if not re.fullmatch(r"\d{1,10}", text) or not 1 <= int(text) <= highest:
            raise UsageError(f"the sentinels' {name} is {text!r}.", f"give a whole number from 1 to {highest}.")
    return {name: int(text) for name, text in pairs.items()}


def _persistence(given: Any) -> str | None:
    if given is not None and given not in PERSISTENCE:
        raise UsageError(f"there is no persistence {given!r}.", f"choose one of {', '.join(PERSISTENCE)}.")
    return None if given is None else str(given)


def _truth(name: str, given: Any) -> bool | None:
    return None if given is None else truth(f"the option {name}", given)


def _healer(given: Any) -> str:
    policy = healer_node.NONE if given in (None, "none") else given
    if policy not in healer_node.POLICIES:
        known = ", ".join(it or "none" for it in healer_node.POLICIES)
        raise UsageError(f"there is no healer {given!r}.", f"choose one of {known}.")
    return str(policy)


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
