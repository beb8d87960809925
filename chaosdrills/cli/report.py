"""`report`: write a run's report again, from its record and from what its summary says of the drill."""

from pathlib import Path
from typing import Any

import click

from chaosdrills.cli.completion import complete_runs
from chaosdrills.errors import UsageError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), shell_complete=complete_runs)
def report(folder: Path) -> None:
    """Write report.md and report.html of the run in FOLDER again, judging its record anew.

    Limits, parameters, phases and checks are those of summary.json, which stays as it is; figures and verdicts are the
    record's. Where the two differ, a warning says so.

    \b
    Example: chaos drills report journals/20261123T080000Z-kafka-broker-loss
    """
    from chaosdrills.core.judge import judge
    from chaosdrills.core.stored import drill_of, limits_of, parameters_of
    from chaosdrills.core.summary import summarise
    from chaosdrills.observe.reading import open_history

    stored = _read_summary(folder)
    limits, parameters = limits_of(stored), parameters_of(stored)
    judgement = judge(open_history(folder / "record"), limits, parameters)
    summary = summarise(drill_of(stored, judgement), judgement)
    if summary["verdict"] != stored.get("verdict"):
        click.echo(
            f"Warning: summary.json says {stored.get('verdict')!r}, the record judged anew is {summary['verdict']!r}.",
            err=True,
        )
    click.echo(_write(folder, summary, judgement))


def _write(folder: Path, summary: dict[str, Any], judgement: Any) -> Path:
    from chaosdrills.report.folder import write_report

    try:
        return write_report(folder, summary, judgement.as_dict(), judgement.history)
    except OSError as error:
        raise UsageError(
            f"cannot write the report into {folder}: {error.strerror}.",
            "copy the run to a folder that you may write to, on a disk with room.",
        ) from error


def _read_summary(folder: Path) -> Any:
    from chaosdrills.core.strict import loads

    path = folder / "summary.json"
    try:
        return loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", "name the folder of a run.") from error
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}.", "judge the record itself: chaos drills judge.") from error
