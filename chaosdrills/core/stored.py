"""A summary read back, so that a record can be judged again by the objectives and parameters of its drill.

What the drill was (title, phases, checks, versions, ...) is taken from the stored summary; no figure and no verdict is:
those come from the record. Everything is looked at before it is used, since people edit files.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from chaosdrills.core.judge import Judgement, Limits
from chaosdrills.core.parameters import Parameters
from chaosdrills.core.summary import Check, Drill, Phase
from chaosdrills.errors import UsageError

OBJECTIVES = ("rto", "freshness", "rpo", "max_lost", "max_unavailable_s", "max_attempts", "max_attempts_per_min")
_COUNTS = ("max_lost", "max_attempts", "max_attempts_per_min")
RECORD_CHECK = "record"
_NUMBER = (int, float)


def limits_of(summary: Any) -> Limits:
    """The limits that the stored summary was judged against. Raises `UsageError` if it is no summary."""
    limits = dict(_limit(entry) for entry in _entries(_whole(summary), "objectives"))
    return Limits(
        limits.get("rto", limits.get("freshness")),
        limits.get("rpo"),
        limits.get("max_lost"),
        "freshness" in limits,
        limits.get("max_unavailable_s"),
        limits.get("max_attempts"),
        limits.get("max_attempts_per_min"),
    )


def parameters_of(summary: Any) -> Parameters:
    """The parameters of measuring of the stored summary. Raises `UsageError` if they are none."""
    given = _get(_whole(summary), "parameters", Mapping, {})
    unknown = set(given) - {field.name for field in fields(Parameters)}
    if unknown:
        raise _wrong(f"there are no parameters {', '.join(map(repr, sorted(unknown)))}")
    return Parameters(**given)


def drill_of(summary: Any, judgement: Judgement) -> Drill:
    """The drill of the stored summary, with its check of the record made anew. Raises `UsageError` for no summary."""
    whole = _whole(summary)
    texts = {name: _get(whole, name, str) for name in ("drill_id", "service", "kind", "title", "started_at")}
    checks = [_check(entry) for entry in _entries(whole, "checks")]
    evidence = _get(whole, "evidence", list, [])
    if not all(isinstance(path, str) for path in evidence):
        raise _wrong("its evidence is no list of paths")
    return Drill(
        **texts,
        phases=[_phase(entry) for entry in _entries(whole, "phases")],
        checks=[*(check for check in checks if check.name != RECORD_CHECK), record_check(judgement)],
        evidence=evidence,
        environment=_get(whole, "environment", Mapping, {}),
        versions=_get(whole, "versions", Mapping, {}),
    )


def failed_checks(summary: Any) -> list[Check]:
    """The checks that kept the drill from being met, and are in no record. Raises `UsageError` if it is no summary."""
    checks = [_check(entry) for entry in _entries(_whole(summary), "checks")]
    return [check for check in checks if not check.ok and check.name != RECORD_CHECK]


def record_check(judgement: Judgement) -> Check:
    """Whether the record that was judged is undamaged."""
    warnings = judgement.history.warnings
    return Check(RECORD_CHECK, not warnings, "; ".join(warnings) or "complete, its checksums are right")


def _whole(summary: Any) -> Mapping[str, Any]:
    if not isinstance(summary, Mapping) or "objectives" not in summary:
        raise _wrong("it has no objectives")
    return summary


def _limit(entry: Mapping[str, Any]) -> tuple[str, Any]:
    name = _get(entry, "name", str)
    if name not in OBJECTIVES:
        raise _wrong(f"a record is not judged by the objective {name!r}")
    return name, _get(entry, "limit", int if name in _COUNTS else _NUMBER)


def _phase(entry: Mapping[str, Any]) -> Phase:
    return Phase(_get(entry, "name", str), _get(entry, "begin", _NUMBER), _get(entry, "end", _NUMBER))


def _check(entry: Mapping[str, Any]) -> Check:
    return Check(_get(entry, "name", str), _get(entry, "ok", bool), _get(entry, "detail", str))


def _entries(whole: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    entries: list[Mapping[str, Any]] = _get(whole, name, list, [])
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise _wrong(f"its {name} are no list of objects")
    return entries


def _get(entry: Mapping[str, Any], name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    """The entry's value `name`, of that kind: a bool is no number, and neither is what is not finite."""
    value = entry.get(name, default)
    is_number = kind is not bool and isinstance(value, bool)
    if not isinstance(value, kind) or is_number or (isinstance(value, _NUMBER) and not abs(value) < 1e9):
        raise _wrong(f"{name} is {'missing' if value is None else repr(value)}")
    return value


def _wrong(why: str) -> UsageError:
    return UsageError(f"this is no summary of a drill: {why}.", "judge the record itself: chaos drills judge.")
