"""`soak`: the observer against a storm of faults on the lab."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from chaosdrills.cli.guard import STATUS_OF_VERDICT, ending_as_ctrl_c
from chaosdrills.cli.numbers import FiniteRange
from chaosdrills.cli.services import SERVICES
from chaosdrills.errors import UsageError

HIGHEST_SEED = 999_999


@click.command()
@click.option("--service", type=click.Choice(SERVICES), default="kafka", show_default=True)
@click.option("--seconds", type=FiniteRange(1, 86_400), default=600.0, show_default=True, help="How long.")
@click.option("--every", "every_s", type=FiniteRange(1, 3600), default=10.0, show_default=True, help="Seconds.")
@click.option("--seed", type=click.IntRange(0, HIGHEST_SEED), help="Repeats a storm.  [default: a new one, printed]")
@click.option("--kinds", help="The faults to draw from, by commas.  [default: all that hit a node's process]")
@click.option("--rate", "rate_per_s", type=FiniteRange(1, 1e5), default=200.0, show_default=True)
@click.option(
    "--partitions", "--connections", "streams", type=click.IntRange(1, 1000), help="Streams.  [default: 6, or 8]"
)
@click.option("--base-port", type=int, help="The first client port of a lab that is started for it.")
@click.option("--network", help="The option network of the lab: with 'isolable' nodes are isolated too.")
@click.option("--journals", type=click.Path(path_type=Path, file_okay=False), default="journals", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; what is done goes to standard error.")
@click.pass_context
def soak(ctx: click.Context, /, service: str, as_json: bool, seed: int | None, kinds: str | None, **given: Any) -> None:
    """Hurt the lab's servers at random under load, every few seconds, and prove that nothing acknowledged is lost.

    Uses the lab that runs, or starts one for the time. Prints its seed; the same seed is the same plan of faults. Ends
    with 0 if every acknowledged record is accounted for and nothing is left behind, 1 if records are lost, 2 if that
    cannot be said.

    \b
    Example: chaos drills soak --seconds 600 --every 10 --seed 7
    Example: chaos drills soak --service timescaledb --every 20
    Example: chaos drills soak --service redis --seconds 120 --every 15
    """
    from chaosdrills.gameday import soak as soaking
    from chaosdrills.gameday.grounds import GROUNDS
    from chaosdrills.gameday.storm import plan

    ground = GROUNDS[service]
    chosen = _kinds(kinds, ground.kinds(given["network"] or ""))
    seed = random.SystemRandom().randrange(1, HIGHEST_SEED) if seed is None else seed
    steps = plan(seed, given["seconds"], given["every_s"], ground.nodes, chosen)
    say = _saying(as_json)
    faults = sum(step.deed == "fault" for step in steps)
    say(f"Seed {seed}: {faults} faults ({', '.join(chosen)}) in {given['seconds']:g} s. Repeat it with --seed {seed}.")
    options = {name: given[name] for name in ("base_port", "network") if given[name] is not None}
    load = soaking.Load(given["rate_per_s"], given["streams"] or ground.streams)
    with ending_as_ctrl_c():
        summary = soaking.soak(ground, steps, seed, load, given["journals"], options, say)
    if as_json:
        click.echo(json.dumps({"seed": seed, "plan": [asdict(step) for step in steps], **summary}, indent=2))
    else:
        _print(summary)
    ctx.exit(STATUS_OF_VERDICT[summary["verdict"]])


def _kinds(given: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = known if given is None else tuple(kind.strip() for kind in given.split(",") if kind.strip())
    wrong = [kind for kind in chosen if kind not in known]
    if wrong or not chosen:
        raise UsageError(f"there is no fault {wrong[0] if wrong else given!r} for a storm.", f"use {', '.join(known)}.")
    return chosen


def _saying(as_json: bool) -> Any:
    return lambda line: click.echo(line, err=as_json)


def _print(summary: dict[str, Any]) -> None:
    loss = summary["loss"]
    known = {name: "not known" if loss[name] is None else f"{loss[name]:,}" for name in ("lost", "unexpected")}
    click.echo(f"Verdict: {summary['verdict']}")
    click.echo(
        f"Lost: {known['lost']} of {loss['acknowledged']:,} acknowledged records ({loss['attempted']:,} attempted)"
    )
    click.echo(f"Unexpected: {known['unexpected']}")
    click.echo(f"Why: {'; '.join(summary['why'])}")
    click.echo(f"Record: {summary['folder']}")
