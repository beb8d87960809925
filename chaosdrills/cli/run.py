"""`chaos drills run`: `chaos run` of an experiment, with the exit status of its verdict."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from chaosdrills.cli.completion import complete_experiments
from chaosdrills.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def running_options(command: Command) -> Command:
    """Add what `run` and `repeat` share."""
    command = click.option(
        "--journals",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where the run's folder is made, instead of where the experiment says.",
    )(command)
    command = click.option(
        "--var", "variables", multiple=True, metavar="KEY=VALUE", help="A value of the configuration; repeatable."
    )(command)
    return click.argument("experiment", shell_complete=complete_experiments)(command)


@click.command()
@running_options
@click.option("--hold", is_flag=True, help="Wait before the first fault, under load, for 'chaos drills go' or Enter.")
@click.option(
    "--hold-timeout",
    "hold_timeout_s",
    type=click.FloatRange(min=1, max=604_800),
    help="How many seconds to hold; then nothing is injected.  [default: 3600]",
)
@click.pass_context
def run(
    ctx: click.Context,
    /,
    experiment: str,
    variables: tuple[str, ...],
    journals: Path | None,
    hold: bool,
    hold_timeout_s: float | None,
) -> None:
    """Run EXPERIMENT as `chaos run` does, and end with the status of its verdict: 0 met, 1 missed, 2 unknown.

    130 if it was interrupted, 64 if it cannot be run, 69 without the Chaos Toolkit. The five last lines are the same.

    \b
    Example: chaos drills run experiments/kafka-broker-loss.json --hold
    """
    from chaosdrills.cli.chaos import Wish, run_chaos
    from chaosdrills.observe.hold import HOLD

    if hold_timeout_s is not None and not hold and os.environ.get(HOLD) != "1":
        raise UsageError("--hold-timeout was given without --hold.", "give both, or neither.")

    ctx.exit(run_chaos(Wish(experiment, variables, hold, hold_timeout_s, journals)).status)
