"""`list`: every experiment there is, what it hits, how long it takes, what it needs, and how it went last."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from chaosdrills.gameday.catalogue import Broken, Entry
    from chaosdrills.gameday.runs import LastRun

Rows = list[tuple["Entry", "LastRun | None"]]

FOLDER = "experiments"
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


@click.command("list")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--journals",
    type=click.Path(path_type=Path, file_okay=False),
    default="journals",
    show_default=True,
    help="Where the runs are whose last verdict is shown.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_experiments(folder: Path | None, journals: Path, as_json: bool) -> None:
    """List the shipped experiments and those in FOLDER (default: experiments, if it is there).

    Of each: what it hits, how many minutes it takes, what it needs, and its last verdict with its age.

    \b
    Example: chaos drills list
    """
    if folder is None and Path(FOLDER).is_dir():
        folder = Path(FOLDER)
    show(folder, journals, as_json)


def show(folder: Path | None, journals: Path, as_json: bool) -> None:
    """Print the catalogue of the package and of `folder`."""
    from chaosdrills.gameday.catalogue import catalogue
    from chaosdrills.gameday.runs import last_run

    entries, broken = catalogue(folder)
    rows = [(entry, last_run(journals, entry.run_slug, entry.title)) for entry in entries]
    if as_json:
        click.echo(json.dumps(_as_json(rows, broken), indent=2))
        return
    for entry, last in rows:
        _print(entry, last)
    for each in broken:
        click.echo(f"{each.path}: {each.why}.", err=True)
    if any(not entry.path for entry in entries):
        click.echo(f"\nThose without a path: 'chaos drills experiments copy {folder or FOLDER}' puts them there.")


def age(seconds: float) -> str:
    """How long ago that was, as people say it."""
    for unit_s, name in _UNITS:
        count = int(seconds // unit_s)
        if count:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def _print(entry: "Entry", last: "LastRun | None") -> None:
    click.echo(f"{entry.name}: {entry.title}")
    lines = {
        "hits": entry.hits or "it does not say",
        "takes": "it does not say" if entry.minutes is None else f"about {entry.minutes:g} min",
        "needs": "; ".join(entry.needs),
        "ends": "" if entry.expected in ("", "met") else f"{entry.expected}, which is what it shows",
        "last": "never run from here" if last is None else _last(last),
        "run": f"chaos run {entry.path}" if entry.path else "",
    }
    for name, text in lines.items():
        if text:
            click.echo(f"  {name + ':':<7}{text}")


def _last(last: "LastRun") -> str:
    why = f" ({last.why})" if last.why else ""
    return f"{last.verdict}{why}, {age(last.age_s)}, {last.folder}"


def _as_json(rows: Rows, broken: "Iterable[Broken]") -> dict[str, Any]:
    experiments = [{**asdict(entry), "last": None if last is None else asdict(last)} for entry, last in rows]
    return {"experiments": experiments, "broken": [asdict(each) for each in broken]}
