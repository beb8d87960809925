"""Restart attempts by brute force, from docs/measuring.md alone: for comparison with `chaosdrills.core.attempts`.

Every attempt is taken apart; instants are exact fractions of a second.
"""

from fractions import Fraction
from itertools import pairwise
from typing import Any

Json = dict[str, Any]
Between = tuple[Fraction, Fraction]
MINUTE = 60


def attempts(samples: list[Json], fault_s: float, end_s: float, fresh_s: float) -> Json:
    """What one stream's samples show of the time between fault and end: figures by the names of `Attempts`."""
    begin, end, fresh = (Fraction(str(it)) for it in (fault_s, end_s, fresh_s))
    looks = sorted(
        ((_exact(it["invoked_s"]), _exact(it["completed_s"]), it["count"]) for it in samples if it["outcome"] == "ok"),
        key=lambda look: look[0],
    )
    if not any(look[0] < end for look in looks):
        return {"count": None}
    made: list[Between] = []
    in_vain = [_exact(it["invoked_s"]) for it in samples if it["outcome"] != "ok"]
    resets, most, blind = 0, 1, []
    for (asked, _, before), (next_asked, answered, after) in pairwise(looks):
        between = (asked, answered)
        if not (answered > begin and asked < end):
            continue
        fell = after < before
        resets += fell
        if not fell and any(asked <= it < next_asked for it in in_vain):
            blind.append(before)
        new = after if fell else after - before
        most = max(most, new)
        made += [between] * new
    silent = _silent([look[0] for look in looks], begin, end)
    bound = silent > fresh or looks[0][0] > begin
    asked_in_vain = any(it["outcome"] != "ok" and begin <= _exact(it["invoked_s"]) < end for it in samples)
    certain = not bound and not resets and not asked_in_vain
    return {
        "count": len(made),
        "judged": None if bound else len(made) + (resets + len(blind)) * most + sum(blind),
        "blind": len(blind),
        "worst_per_min": max((_within_a_minute(made, first) for first in range(len(made))), default=0),
        "resets": resets,
        "silent": silent,
        "may_back_off": certain and _certainly(made),
    }


def _exact(seconds: float) -> Fraction:
    return Fraction(str(seconds))


def _silent(instants: list[Fraction], begin: Fraction, end: Fraction) -> Fraction:
    before = max((at for at in instants if at <= begin), default=begin)
    inside = [before, *(at for at in instants if begin < at < end), end]
    return max(later - earlier for earlier, later in pairwise(inside))


def _within_a_minute(made: list[Between], first: int) -> int:
    """How many from the `first` attempt on may lie in less than a minute."""
    return sum(it[0] - made[first][1] < MINUTE for it in made[first:])


def _certainly(made: list[Between]) -> bool:
    """Whether neighbouring gaps grow by half, or reach 30 s, wherever the attempts were made."""
    if len(made) < 3:
        return False
    gaps = [(max(later[0] - earlier[1], Fraction(0)), later[1] - earlier[0]) for earlier, later in pairwise(made)]
    return all(
        after[0] >= Fraction(3, 2) * before[1] or after[0] >= 30 or before[0] >= 30 for before, after in pairwise(gaps)
    )
