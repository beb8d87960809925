"""The argument `watches` of the observe control: counts of restart attempts that self-healers keep.

In an experiment::

    "watches": [{"name": "healer", "url": "${healer_url}/metrics", "metric": "restart_attempts_total",
                 "every_s": 0.1, "timeout_s": 1, "factor": 1.5, "cap_s": 30},
                {"name": "keeper", "source": "chaosdrills.redis.attempts:RedisAttempts",
                 "arguments": {"redis_url": "${redis_url}", "key": "keeper:attempts"}}]

A count is either on a Prometheus page (`url` and `metric`, of which all samples that fit are added up) or known to a
class that is named by its import path (`source` and its own `arguments`, see `chaosdrills.observe.counts`). What
`factor` and `cap_s` mean is defined in `chaosdrills.core.attempts`. As with polls, no URL and no argument gets into a
record, a summary, a log or a message.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.core.attempts import CAP_S, FACTOR
from chaosdrills.errors import UsageError
from chaosdrills.observe.counts import Page, Source, check_source, load_source
from chaosdrills.observe.endpoints import Endpoint, address_of, place_of, request_of
from chaosdrills.observe.exposition import Selector
from chaosdrills.observe.listed import LATER, listed

BOUNDS = {"every_s": (0.02, 1.0), "timeout_s": (0.01, 30.0), "factor": (1.0, 100.0), "cap_s": (0.0, 86_400.0)}
NAMES = ("name", "url", "metric", "source", "arguments", *BOUNDS)
MOST = 10  # each has a thread


@dataclass(frozen=True)
class Watch:
    """One count. `source` is an import path, empty where it is on the page of `endpoint`."""

    name: str
    endpoint: Endpoint | None = None
    metric: Selector | None = None
    source: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    every_s: float = 0.1
    timeout_s: float = 1.0
    factor: float = FACTOR
    cap_s: float = CAP_S

    def begin(self) -> Source:
        """Its source. Raises `DrillError` for arguments that cannot be used."""
        if self.endpoint is not None and self.metric is not None:
            return Page(self.endpoint, self.metric)
        return load_source(self.source, self.arguments)

    def about(self) -> dict[str, float]:
        """What a record's header says of it."""
        return {"every_s": self.every_s, "factor": self.factor, "cap_s": self.cap_s}


def watches_of(given: Any, written: bool = False) -> tuple[Watch, ...]:
    """The counts of the argument `watches`; none if it is None. Raises `UsageError` for what cannot be watched.

    `written`: as it stands in the experiment, where ``${...}`` in a value is not known yet and passed over, and where
    no password may stand.
    """
    return listed("watches", MOST, given, written, _watch)


def with_secrets(given: Sequence[Mapping[str, Any]] | None, secrets: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`given` with `secrets` (``{"secrets": {...}}``, or empty) among the arguments of each source."""
    return [
        {**one, "arguments": {**(one.get("arguments") or {}), **secrets}} if "source" in one else dict(one)
        for one in given or ()
    ]


def _watch(given: Any, number: int, written: bool) -> Watch:
    def wrong(why: str, hint: str) -> UsageError:
        label = repr(name) if isinstance(name, str) and name else f"number {number}"
        return UsageError(f"the watch {label} cannot be used: {why}.", hint if hint.endswith("?") else f"{hint}.")

    name = given.get("name") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping):
        raise wrong("it is no object", f"give it {', '.join(NAMES)}")
    for key in given:
        if key not in NAMES:
            close = difflib.get_close_matches(str(key), NAMES, n=1)
            raise wrong(
                f"there is no {str(key)[:40]!r}",
                f"did you mean {close[0]}?" if close else f"what there is: {', '.join(NAMES)}",
            )
    if not isinstance(name, str) or not 0 < len(name) <= 40 or not name.isprintable():
        raise wrong("its name is none", "give a text of 1 to 40 characters")
    if ("url" in given) == ("source" in given) or ("url" in given) != ("metric" in given):
        raise wrong("it is not clear where its count is", "give it url and metric, or source and arguments")
    if "arguments" in given and "source" not in given:
        raise wrong("it has arguments and no source", "leave them out")
    now = {key: value for key, value in given.items() if not (written and LATER in json.dumps(value))}
    numbers: dict[str, Any] = {key: _number(key, now[key], wrong) for key in BOUNDS if key in now}
    if "source" in given:
        return Watch(name, **_source(given, now, written, wrong), **numbers)
    timeout_s = numbers.get("timeout_s", 1.0)
    where = address_of(now.get("url", "http://later"), written, wrong)
    endpoint = Endpoint(
        name=name, **place_of(where), request=request_of(where, None, True), timeout_s=timeout_s, keep_alive=True
    )
    return Watch(name, endpoint, _metric(now.get("metric", "later"), wrong), **numbers)


def _number(key: str, given: Any, wrong: Any) -> float:
    low, high = BOUNDS[key]
    try:
        value = float(given) if not isinstance(given, bool) else -1.0
    except (TypeError, ValueError, OverflowError):
        value = -1.0
    if not low <= value <= high:
        raise wrong(f"its {key} is {given!r}", f"give a number from {low:g} to {high:g}")
    return value


def _metric(given: Any, wrong: Any) -> Selector:
    try:
        return Selector.of(given if isinstance(given, str) else "")
    except UsageError as error:
        raise wrong("its metric is none", error.hint.rstrip(".")) from error


def _source(given: Mapping[str, Any], now: Mapping[str, Any], written: bool, wrong: Any) -> dict[str, Any]:
    path, arguments = given["source"], given.get("arguments", {})
    if not isinstance(path, str) or not isinstance(arguments, Mapping):
        raise wrong("its source is no text, or its arguments are no object", "name a class as 'module:Class'")
    if written and "source" in now:
        check_source(path, arguments)
    return {"source": path, "arguments": arguments}
