"""Several runs of one drill: what their figures are together. One whose figure is not known is counted, not left out.

Of the RTO, `min_s`, `median_s`, `max_s` and `spread_s`, the sample standard deviation, are those of the `known` runs
alone (null without one; the spread without two): those whose objective was met or missed with a measured value. A run
that was cut short, or whose fault hit nothing, may show a recovery time of 0, and it says nothing. `not_known` are the
others. `at_least_s` is the longest lower bound of those that were not restored while they were watched, null if there
is none: where it is above `max_s`, `max_s` is not the worst. Of lost records, `total` and `most` are those of the
`known` runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, stdev
from typing import Any

from chaosdrills.core.verdict import Finding, Verdict, worst


@dataclass(frozen=True)
class Run:
    """What counts of one run; None is not known. `rto_at_least_s` is a lower bound where the RTO is not known."""

    verdict: Verdict = "unknown"
    rto_actual_s: float | None = None
    rto_at_least_s: float | None = None
    lost: int | None = None


def run_of(summary: Mapping[str, Any] | None, rto_at_least_s: float | None = None) -> Run:
    """The run of a summary: unknown if it left none."""
    if summary is None:
        return Run()
    verdict = summary.get("verdict")
    judged = [each for each in summary.get("objectives") or () if each.get("name") in ("rto", "freshness")]
    known = [each.get("actual") for each in judged if each.get("verdict") in ("met", "missed")]
    whole = judged and len(known) == len(judged) and None not in known
    actual_s = max(known) if whole else None  # recovery is over when data is fresh too, where that is judged
    return Run(
        "met" if verdict == "met" else "missed" if verdict == "missed" else "unknown",
        actual_s,
        rto_at_least_s if actual_s is None else None,
        (summary.get("loss") or {}).get("lost"),
    )


def together(runs: Sequence[Run]) -> dict[str, Any]:
    """The figures of all runs: `runs`, `verdict` (the worst), `verdicts` (how many of each), `rto`, `lost`."""
    verdicts = [run.verdict for run in runs]
    measured = [run.rto_actual_s for run in runs if run.rto_actual_s is not None]
    known = [run.lost for run in runs if run.lost is not None]
    return {
        "runs": len(runs),
        "verdict": worst([Finding(verdict) for verdict in verdicts]).verdict,
        "verdicts": {name: verdicts.count(name) for name in ("met", "missed", "unknown")},
        "rto": {
            "known": len(measured),
            "not_known": len(runs) - len(measured),
            "min_s": min(measured, default=None),
            "median_s": median(measured) if measured else None,
            "max_s": max(measured, default=None),
            "spread_s": stdev(measured) if len(measured) > 1 else None,
            "at_least_s": max((run.rto_at_least_s for run in runs if run.rto_at_least_s is not None), default=None),
        },
        "lost": {
            "known": len(known),
            "not_known": len(runs) - len(known),
            "total": sum(known) if known else None,
            "most": max(known, default=None),
        },
    }
