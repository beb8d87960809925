"""`chaos drills repeat`: the same drill several times, and what its figures are together."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chaosdrills.cli.run import running_options
from chaosdrills.errors import DrillError

if TYPE_CHECKING:
    from chaosdrills.cli.chaos import Ended, Wish

COLUMNS = ("run", "verdict", "RTO", "lost", "folder")


@click.command()
@running_options
@click.option(
    "-n", "--times", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many times to run it."
)
@click.option("--stop-on-miss", is_flag=True, help="End after the first run whose verdict is missed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; what the runs say goes to stderr.")
@click.pass_context
def repeat(
    ctx: click.Context,
    /,
    experiment: str,
    variables: tuple[str, ...],
    journals: Path | None,
    times: int,
    stop_on_miss: bool,
    as_json: bool,
) -> None:
    """Run EXPERIMENT several times, each with a folder of its own, and print the figures of all.

    RTO: the least, the median and the greatest of the runs that decided it, and their spread (the sample standard
    deviation); the others are counted. Ends with the status of the worst verdict: missed, unknown, met. Ctrl-C ends it
    after the clean end of the present run, with what there is.

    Each run has a lab of its own, so that none inherits what another did. For one lab for all, start it before: 'chaos
    drills lab up kafka'.

    \b
    Example: chaos drills repeat experiments/kafka-broker-loss.json -n 5 --stop-on-miss
    """
    from chaosdrills.cli.chaos import Wish
    from chaosdrills.cli.guard import STATUS_OF_VERDICT
    from chaosdrills.core.series import together
    from chaosdrills.errors import INTERRUPTED

    runs, early = _run_all(Wish(experiment, variables, journals=journals), times, stop_on_miss, as_json)
    figures = together([ended.run for ended in runs])
    if as_json:
        told = {"experiment": experiment, "asked": times, "ended_early": early, "each": [_one(run) for run in runs]}
        click.echo(json.dumps({**told, **figures}, indent=2))
    else:
        for line in _lines(runs, figures, times, early):
            click.echo(line)
    ctx.exit(INTERRUPTED if runs[-1].interrupted else STATUS_OF_VERDICT[figures["verdict"]])


def _run_all(wish: "Wish", times: int, stop_on_miss: bool, quiet: bool) -> tuple[list["Ended"], str]:
    """The runs that were made, and why they are fewer than `times`; empty if they are not."""
    from chaosdrills.cli.chaos import Ended, run_chaos

    runs: list[Ended] = []
    for number in range(1, times + 1):
        click.echo(f"Run {number} of {times}", err=quiet)
        try:
            runs.append(run_chaos(wish, quiet))
        except DrillError as error:
            if not runs:
                raise
            return [*runs, Ended()], str(error)
        except KeyboardInterrupt:
            if not runs:
                raise
            return [*runs[:-1], replace(runs[-1], interrupted=True)], "it was interrupted"
        early = _why_stop(runs[-1], stop_on_miss)
        if early and number < times:
            return runs, early
    return runs, ""


def _why_stop(ended: "Ended", stop_on_miss: bool) -> str:
    """Why no run may follow this one; empty if one may."""
    from chaosdrills.faults.heal_log import outstanding

    left = [entry.target.label for entry in outstanding()[0] if not entry.held]
    if ended.unwanted:
        return "it was interrupted" if ended.interrupted else "the run was aborted, or told to end"
    if left:
        return f"{', '.join(left)} is not healed: run 'chaos drills heal'"
    return "a run missed its objectives" if stop_on_miss and ended.run.verdict == "missed" else ""


def _one(ended: "Ended") -> dict[str, Any]:
    return {
        **asdict(ended.run),
        "why": list((ended.summary or {}).get("why") or ["it was not concluded"]),
        "folder": None if ended.folder is None else str(ended.folder),
    }


def _lines(runs: Sequence["Ended"], figures: dict[str, Any], times: int, early: str) -> Iterator[str]:
    yield ""
    yield from _table([COLUMNS, *(_row(number, run) for number, run in enumerate(runs, 1))])
    yield ""
    if early:
        yield f"Ended after {len(runs)} of {times} runs: {early}."
    yield f"Worst verdict: {figures['verdict']} ({', '.join(f'{n} {name}' for name, n in figures['verdicts'].items())})"
    yield _rto_line(figures["rto"], len(runs))
    lost = figures["lost"]
    known = "not known" if lost["total"] is None else f"{lost['total']:,} in {lost['known']} of {len(runs)} runs"
    yield f"Lost: {known}" + (f"; not known in {lost['not_known']}" if lost["not_known"] and lost["known"] else "")


def _rto_line(rto: dict[str, Any], runs: int) -> str:
    if not rto["known"]:
        figures = "not known of any run"
    else:
        spread = "not known of one run" if rto["spread_s"] is None else f"{rto['spread_s']:.3f} s (standard deviation)"
        figures = (
            f"min {rto['min_s']:.3f} s, median {rto['median_s']:.3f} s, max {rto['max_s']:.3f} s, spread {spread}, "
            f"of {rto['known']} of {runs} runs"
        )
    if rto["not_known"] and rto["known"]:
        figures += f"; not known of {rto['not_known']}, which may be worse"
    bound = rto["at_least_s"]
    return f"RTO: {figures}" + ("" if bound is None else f"; one was not restored after {bound:.3f} s")


def _row(number: int, ended: "Ended") -> tuple[str, ...]:
    from chaosdrills.observe.folder import shown

    one = ended.run
    rto, bound = one.rto_actual_s, one.rto_at_least_s
    missing = "not known" if bound is None else f"over {bound:.3f} s"
    return (
        str(number),
        one.verdict,
        missing if rto is None else f"{rto:.3f} s",
        "not known" if one.lost is None else f"{one.lost:,}",
        "none" if ended.folder is None else shown(ended.folder),
    )


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
