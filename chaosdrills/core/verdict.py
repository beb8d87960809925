"""Verdicts: `met`, `missed` or `unknown`, and why. What could not be measured is `unknown`, never `met`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["met", "missed", "unknown"]
_WORST_LAST: tuple[Verdict, ...] = ("met", "unknown", "missed")


@dataclass(frozen=True)
class Finding:
    """A verdict with the reasons for it, in sentences without a full stop."""

    verdict: Verdict
    why: tuple[str, ...] = ()

    def blocked(self, blockers: Iterable[str]) -> "Finding":
        """The same, but never `met` if there is a blocker: then the blockers are the reasons."""
        reasons = tuple(blockers)
        if not reasons or self.verdict == "missed":
            return self
        return Finding("unknown", reasons if self.verdict == "met" else self.why + reasons)


def worst(findings: Iterable[Finding]) -> Finding:
    """Any missed makes it missed, else any unknown makes it unknown; the reasons of the worst come first.

    Of nothing, nothing is known.
    """
    ranked = sorted(findings, key=lambda finding: -_WORST_LAST.index(finding.verdict))
    if not ranked:
        return Finding("unknown", ("nothing was judged",))
    same = [finding for finding in ranked if finding.verdict == ranked[0].verdict]
    return Finding(ranked[0].verdict, tuple(dict.fromkeys(reason for finding in same for reason in finding.why)))
