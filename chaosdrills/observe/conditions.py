"""Abort conditions: when a drill hurts more than was agreed, it heals at once and ends.

The argument `abort_when` of the observe control, for example ``{"age_s": 60, "bad_share": 0.5, "for_s": 30}``: once a
fault has begun, the age of the data that readers see above 60 s, or more than half of all operations bad (see
`chaosdrills.observe.figures`), for 30 s on end. A drill whose figures cannot be had for that long ends too: nobody
would see how much it hurts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaosdrills.errors import UsageError

FOR_S = 10.0


@dataclass(frozen=True)
class Conditions:
    """Bounds, None where there is none, and for how long one must be exceeded."""

    age_s: float | None = None
    bad_share: float | None = None
    for_s: float = FOR_S


def conditions_of(given: Any) -> Conditions | None:
    """The conditions of the argument `abort_when`; None without one. Raises `UsageError` for what cannot be."""
    if given is None:
        return None
    if not isinstance(given, Mapping) or not {"age_s", "bad_share"} & set(given):
        raise _wrong(given, "it names no condition")
    for name, value in given.items():
        if name not in _ALLOWED:
            raise _wrong(given, f"there is no condition {name!r}")
        low, high, words = _ALLOWED[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and low < value < high) and not (number and name == "for_s" and value == 0):
            raise _wrong(given, f"{name} must be {words}")
    return Conditions(**{name: float(value) for name, value in given.items()})


_ALLOWED = {
    "age_s": (0.0, 1e6, "seconds, above 0"),
    "bad_share": (0.0, 1.0, "a share between 0 and 1"),
    "for_s": (0.0, 1e6, "seconds, from 0 up"),
}


def _wrong(given: Any, why: str) -> UsageError:
    return UsageError(
        f"the observe control's abort_when is {given!r}: {why}.",
        'write, for example, {"age_s": 60, "bad_share": 0.5, "for_s": 30}.',
    )


@dataclass
class Watch:
    """Looks at figures, again and again; says when one was beyond its bound for long enough. No clock of its own."""

    conditions: Conditions
    _since_s: dict[str, float] = field(default_factory=dict)
    _worst: dict[str, float] = field(default_factory=dict)

    def look(self, now_s: float, figures: Mapping[str, Any] | None) -> str:
        """Why to abort now; empty if there is no reason. `figures` are None where they could not be had."""
        if figures is not None and self._blind(figures):
            figures = None
        values = {} if figures is None else {"age_s": figures["age_s"], "bad_share": figures["bad_share"]}
        exceeded = {"figures": 0.0} if figures is None else {}
        for name, value in values.items():
            bound = getattr(self.conditions, name)
            if bound is not None and value is not None and value > bound:
                exceeded[name] = value
        if figures is None:
            exceeded |= {name: self._worst[name] for name in self._since_s if name in self._worst}
        return self._judge(now_s, exceeded)

    def _blind(self, figures: Mapping[str, Any]) -> bool:
        """Whether a figure that is watched is not known: an observer that sends nothing any more tells none."""
        watched = [name for name in ("age_s", "bad_share") if getattr(self.conditions, name) is not None]
        return any(figures[name] is None for name in watched)

    def _judge(self, now_s: float, exceeded: dict[str, float]) -> str:
        for name in [name for name in self._since_s if name not in exceeded]:
            del self._since_s[name], self._worst[name]
        for name, value in exceeded.items():
            since_s = self._since_s.setdefault(name, now_s)
            self._worst[name] = max(value, self._worst.get(name, value))
            if now_s - since_s >= self.conditions.for_s:
                return self._words(name, now_s - since_s)
        return ""

    def _words(self, name: str, lasted_s: float) -> str:
        worst, lasted = self._worst[name], f"for {lasted_s:.1f} s ({self.conditions.for_s:g} s are allowed)"
        if name == "age_s":
            return f"what readers see was up to {worst:.1f} s old, more than {self.conditions.age_s:g} s, {lasted}"
        if name == "bad_share":
            return f"up to {worst:.0%} of all operations were bad, more than {self.conditions.bad_share:.0%}, {lasted}"
        return f"the observer told no figures {lasted}"
