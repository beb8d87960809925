"""`report`: write a run's report again, from its summary and its record."""

import json
from pathlib import Path
from typing import Any

import click

from chaosdrills.errors import UsageError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def report(folder: Path) -> None:
    """Write report.md and report.html of the run in FOLDER again, judging its record anew.

    \b
    Example: chaos drills report journals/20261123T080000Z-kafka-broker-loss
    """
    from chaosdrills.core.judge import judge
    from chaosdrills.core.parameters import Parameters
    from chaosdrills.observe.reading import open_history
    from chaosdrills.report.folder import write_report

    summary = _read_summary(folder)
    history = open_history(folder / "record")
    judgement = judge(history, _limits(summary), Parameters(**summary.get("parameters", {})))
    click.echo(write_report(folder, summary, judgement.as_dict(), history))


def _read_summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    try:
        summary: dict[str, Any] = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", "name the folder of a run.") from error
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}.", "judge the record itself: chaos drills judge.") from error
    if not isinstance(summary, dict) or "objectives" not in summary:
        raise UsageError(f"{path} is no summary of a drill.", "name the folder of a run.")
    return summary


def _limits(summary: dict[str, Any]) -> Any:
    from chaosdrills.core.judge import Limits

    limits = {objective["name"]: objective["limit"] for objective in summary["objectives"]}
    rto_s = limits.get("rto", limits.get("freshness"))
    return Limits(rto_s, limits.get("rpo"), limits.get("max_lost"), "freshness" in limits)
