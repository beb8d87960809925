"""The runs that were: which of `journals/<utc>-<experiment>/` is an experiment's last, and what it came to."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from chaosdrills.core.strict import loads
from chaosdrills.core.verdict import Verdict

SUMMARY = "summary.json"
_NAME = re.compile(r"(\d{8}T\d{6}Z)-(.+)")
_AGAIN = re.compile(r"-\d{1,3}$")  # the second run of one second


@dataclass(frozen=True)
class LastRun:
    """`verdict` of the run in `folder` that began at `started_at` (ISO 8601, UTC), `age_s` seconds ago.

    A run that left no summary, or a damaged one, is `unknown`, and `why` says so: an older verdict would flatter.
    """

    verdict: Verdict
    why: str
    started_at: str
    age_s: float
    folder: str


def last_run(journals: Path, slug: str, title: str, now: datetime | None = None) -> LastRun | None:
    """The youngest run in `journals` of the experiment whose runs are called `slug`; None if there is none.

    Where two experiments' runs might be called alike (``x`` a second time, and ``x-2``), the `title` decides.
    """
    for utc, name, folder in sorted(_runs(journals), reverse=True):
        again = name != slug and _AGAIN.sub("", name) == slug
        if name != slug and not again:
            continue
        summary = _summary(folder)
        if again and (isinstance(summary, str) or summary.get("title") != title):
            continue
        return _described(utc, folder, summary, now or datetime.now(UTC))
    return None


def folders(journals: Path) -> list[Path]:
    """The folders of all runs, youngest first; none if there is no such folder."""
    return [folder for _, _, folder in sorted(_runs(journals), reverse=True)]


def _runs(journals: Path) -> list[tuple[str, str, Path]]:
    """(utc, name, folder) of every run."""
    try:
        found = [(_NAME.fullmatch(path.name), path) for path in journals.iterdir() if path.is_dir()]
    except OSError:
        return []
    return [(match[1], match[2], path) for match, path in found if match]


def _summary(folder: Path) -> dict[str, Any] | str:
    """The summary in `folder`, or why there is none."""
    try:
        summary = loads((folder / SUMMARY).read_bytes())
    except FileNotFoundError:
        return f"it left no {SUMMARY}: it died, or is under way"
    except (OSError, ValueError) as error:
        return f"its {SUMMARY} is damaged: {error}"
    if not isinstance(summary, dict) or summary.get("verdict") not in get_args(Verdict):
        return f"its {SUMMARY} has no verdict"
    return summary


def _described(utc: str, folder: Path, summary: dict[str, Any] | str, now: datetime) -> LastRun:
    try:
        started = datetime.strptime(utc, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:  # eight digits that are no day
        started = now
    age_s = max(0.0, (now - started).total_seconds())
    verdict: Verdict = "unknown" if isinstance(summary, str) else summary["verdict"]
    why = summary if isinstance(summary, str) else ""
    return LastRun(verdict, why, f"{started:%Y-%m-%dT%H:%M:%SZ}", age_s, str(folder))
