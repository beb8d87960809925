"""`judge`: a record or a history in, a verdict and its figures out."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from chaosdrills.cli.completion import complete_runs
from chaosdrills.cli.guard import STATUS_OF_VERDICT, forget_output
from chaosdrills.cli.judging import judging_options, limits_from, parameters_from


@click.command()
@click.argument("file", type=click.Path(path_type=Path), shell_complete=complete_runs)
@judging_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; reasons go to standard error.")
@click.pass_context
def judge(ctx: click.Context, /, file: Path, as_json: bool, **options: Any) -> None:
    """Judge FILE, a record or a history, against objectives.

    \b
    Example: chaos drills judge journals/<run>/record --rto 600 --rpo 900 --max-lost 0

    RTO and RPO default to the objectives of the record's service. Exit status: 0 met, 1 missed, 2 unknown. The record
    alone is judged: where a check of its drill failed (two primaries, say), a warning says so.
    """
    from chaosdrills.core.judge import judge as judge_history
    from chaosdrills.observe.reading import open_history

    parameters = parameters_from(options)
    history = open_history(file)
    for warning in history.warnings:
        click.echo(f"Warning: {warning}", err=True)
    for doubt in _doubts(file):
        click.echo(f"Warning: {doubt}", err=True)
    judgement = judge_history(history, limits_from(options, history), parameters)
    result = judgement.as_dict()
    try:
        _print(result, judgement.overall.why, as_json)
    except BrokenPipeError:
        forget_output()
    ctx.exit(STATUS_OF_VERDICT[result["verdict"]])


def _doubts(file: Path) -> list[str]:
    """What the drill that left this record beside its summary could not be met for, whatever the record says."""
    from chaosdrills.core.stored import failed_checks
    from chaosdrills.core.strict import loads
    from chaosdrills.errors import UsageError
    from chaosdrills.observe.reading import RECORD_NAME
    from chaosdrills.report.wording import public

    folder = file.parent if file.name == RECORD_NAME else file
    try:
        failed = failed_checks(loads((folder / "summary.json").read_bytes()))
    except (OSError, ValueError, UsageError):  # a record from elsewhere
        return []
    return [f"the drill itself was not met, its check {one.name!r} failed: {public(one.detail)}" for one in failed]


def _print(result: dict[str, Any], reasons: Iterable[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _print_plainly(result)
    for reason in reasons:
        click.echo(f"{result['verdict']}: {reason}.", err=as_json)


def _print_plainly(result: dict[str, Any]) -> None:
    for name, value in result.items():
        if name in ("parameters", "examples"):
            shown = {key: one for key, one in value.items() if one != []}
            click.echo(f"{name}: " + (", ".join(f"{key}={one}" for key, one in shown.items()) or "none"))
        else:
            click.echo(f"{name}: {'not measured' if value is None else value}")
