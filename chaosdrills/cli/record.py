"""`record export` and `record show`: the evidence, for people and for other tools."""

import json
from pathlib import Path

import click

from chaosdrills.cli.completion import complete_runs
from chaosdrills.errors import UsageError

SHOWN = 100  # streams


@click.group()
def record() -> None:
    """Read records: the evidence that every figure is computed from."""


@record.command()
@click.argument("file", type=click.Path(path_type=Path), shell_complete=complete_runs)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file instead of standard output.")
def export(file: Path, output: Path | None) -> None:
    """Write the record FILE as a history: one JSON object a line.

    Remarks (chaos drills note) are left out: they are no part of a history, and nothing is judged by them.

    \b
    Example: chaos drills record export journals/<run>/record -o history.jsonl
    """
    from chaosdrills.core.exchange import format_lines
    from chaosdrills.host.files import writing_for_user
    from chaosdrills.observe.reading import open_history

    history = open_history(file)
    for warning in history.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if output is None:
        for line in format_lines(history):
            click.echo(line.rstrip("\n"))
        return
    if output.exists() and output.samefile(file / "record" if file.is_dir() else file):
        raise UsageError(f"{output} is the record itself.", "name another file: the record is the evidence.")
    with writing_for_user(output) as stream:
        for line in format_lines(history):
            stream.write(line.rstrip("\n").encode() + b"\n")


@record.command()
@click.argument("file", type=click.Path(path_type=Path), shell_complete=complete_runs)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(file: Path, as_json: bool) -> None:
    """Say what the record FILE holds: header, counts, streams, marks.

    \b
    Example: chaos drills record show journals/<run>/record
    """
    from chaosdrills.observe.contents import describe
    from chaosdrills.observe.reading import open_history

    history = open_history(file)
    path = file / "record" if file.is_dir() else file
    facts = describe(history, path.stat().st_size)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    streams, more = facts["streams"], len(facts["streams"]) - SHOWN
    if more > 0:  # registers come and go
        facts["streams"] = f"{', '.join(streams[:SHOWN])} and {more:,} more"
    for name, value in facts.items():
        click.echo(f"{name}: {value}")
