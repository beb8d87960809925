"""What an endpoint is expected to answer, and why an answer is not that. No reason repeats what was answered."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chaosdrills.core.strict import loads
from chaosdrills.errors import UsageError
from chaosdrills.observe.exposition import Selector

KEYS = ("status", "json", "equals", "differs", "metric", "at_least", "at_most")
MOST = 10  # objects in a list


@dataclass(frozen=True)
class Bounds:
    """Samples of a metric, each of which must lie within both bounds."""

    metric: Selector
    at_least: float = -math.inf
    at_most: float = math.inf


@dataclass(frozen=True)
class Expectation:
    """All of this must hold. `statuses`: None is any of 200 to 299.

    `path`: of a field of JSON to be `value`, or if `differs` to be any other. `others`: what must hold as well.
    """

    statuses: frozenset[int] | None = None
    path: tuple[str, ...] | None = None
    value: Any = field(default=None, repr=False)
    bounds: Bounds | None = None
    differs: bool = False
    others: "tuple[Expectation, ...]" = ()

    def why_not(self, status: int, body: bytes) -> str:
        """Why an answer is not as expected; empty if it is."""
        right = 200 <= status < 300 if self.statuses is None else status in self.statuses
        if not right:
            return f"status {status}"
        try:
            why = self._why_not_json(body) or self._why_not_metric(body)
        except UnicodeDecodeError:
            return "an answer that is not UTF-8"
        return why or next(filter(None, (other.why_not(status, body) for other in self.others)), "")

    def _why_not_json(self, body: bytes) -> str:
        if self.path is None:
            return ""
        try:
            value = loads(body)
        except ValueError:
            return "an answer that is not JSON"
        for part in self.path:
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return f"no field {'.'.join(self.path)}"
        if _same(value, self.value) != self.differs:
            return ""
        return f"{'the' if self.differs else 'another'} value of {'.'.join(self.path)}"

    def _why_not_metric(self, body: bytes) -> str:
        if self.bounds is None:
            return ""
        name = self.bounds.metric.name
        try:
            values = self.bounds.metric.values(body.decode())
        except UnicodeDecodeError:
            raise
        except ValueError:
            return f"a malformed sample of {name}"
        if not values:
            return f"no sample of {name}"
        within = all(self.bounds.at_least <= value <= self.bounds.at_most for value in values)
        return "" if within else f"{name} out of bounds"


def expectation_of(given: Any, wrong: Callable[[str, str], UsageError]) -> Expectation:
    """The expectation that `given`, an object or a list of them, describes.

    Raises what `wrong` makes of a reason and a hint.
    """
    each = given if isinstance(given, list) else [given]
    if not 0 < len(each) <= MOST:
        raise wrong("its expect is an empty list, or too long a one", f"give an object, or up to {MOST}")
    first, *others = [_expectation(one, wrong) for one in each]
    return replace(first, others=tuple(others))


def _expectation(given: Any, wrong: Callable[[str, str], UsageError]) -> Expectation:
    if not isinstance(given, Mapping) or not given:
        raise wrong("its expect is no object", 'write, for example, {"status": 200}')
    for one, other in (("equals", "json"), ("differs", "json"), ("at_least", "metric"), ("at_most", "metric")):
        if one in given and other not in given:
            raise wrong(f"its expect has {one!r} without {other!r}", f"give both, or leave {one!r} out")
    if "json" in given and ("equals" in given) == ("differs" in given):
        which = "with both" if "equals" in given else "without"
        raise wrong(f"its expect has 'json' {which} 'equals' and 'differs'", "give one of them")
    return Expectation(
        _statuses(given["status"], wrong) if "status" in given else None,
        _path(given["json"], wrong) if "json" in given else None,
        given["differs"] if "differs" in given else given.get("equals"),
        _bounds(given, wrong) if "metric" in given else None,
        "differs" in given,
    )


def _statuses(given: Any, wrong: Callable[[str, str], UsageError]) -> frozenset[int]:
    statuses = given if isinstance(given, list) else [given]
    if not statuses or not all(type(one) is int and 100 <= one <= 599 for one in statuses):
        raise wrong("its expect has a status that is none", "give a number from 100 to 599, or a list of such")
    return frozenset(statuses)


def _path(given: Any, wrong: Callable[[str, str], UsageError]) -> tuple[str, ...]:
    if not isinstance(given, str) or not all(given.split(".")):
        raise wrong("its expect has a json that is no path", 'write the names of fields, as in "status.database"')
    return tuple(given.split("."))


def _bounds(given: Mapping[str, Any], wrong: Callable[[str, str], UsageError]) -> Bounds:
    if "at_least" not in given and "at_most" not in given:
        raise wrong("its expect has a metric without a bound", "give at_least, at_most, or both")
    for name in ("at_least", "at_most"):
        if name in given and (type(given[name]) not in (int, float) or not abs(given[name]) < 1e300):
            raise wrong(f"its expect has an {name} that is no number", "give a finite number")
    least, most = float(given.get("at_least", -math.inf)), float(given.get("at_most", math.inf))
    if least > most:
        raise wrong("its expect has an at_least above its at_most", "swap them")
    try:
        return Bounds(Selector.of(given["metric"] if isinstance(given["metric"], str) else ""), least, most)
    except UsageError as error:
        raise wrong("its expect has a metric that is none", error.hint.rstrip(".")) from error


def _same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same: true is not 1, and 1 is 1.0."""
    if type(one) in (int, float) and type(other) in (int, float):
        return bool(one == other)
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
