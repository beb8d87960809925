"""The options of judging: every parameter of measuring, and the objectives; shared by `judge` and `report`."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

from chaosdrills.core.history import History
from chaosdrills.core.judge import Limits
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

_HELP = {
    "stable_s": "How long service must be good to count as restored.",
    "recovered_ratio": "The share of the baseline that counts as full throughput.",
    "slow_s": "An acknowledgement later than this is bad.",
    "gap_s": "The shortest span without acknowledgements that is an outage.",
    "baseline_s": "How long before the fault the baseline looks back.",
    "watch_s": "How long load must go on after the last fault or heal.",
    "fresh_s": "The age of data that a reader may see; freshness is judged, against the RTO, only where it is given.",
}


def judging_options(command: Command) -> Command:
    """Add an option for every parameter and objective."""
    for field in reversed(fields(Parameters)):
        if field.name == "recovery":
            option = click.option(
                "--recovery",
                type=click.Choice(["self", "healed"]),
                help="Whether the service must recover before it is healed.  [default: self]",
            )
        else:
            option = click.option(
                f"--{field.name.replace('_', '-')}",
                type=float,
                help=f"{_HELP[field.name]}  [default: {field.default:g}]",
            )
        command = option(command)
    for name, when in (("--max-attempts-per-min", " within any minute"), ("--max-attempts", "")):
        text = f"How often a self-healer may try to restart something{when}; given, that is judged."
        command = click.option(name, type=click.IntRange(min=0), help=text)(command)
    command = click.option(
        "--max-unavailable-s",
        type=click.FloatRange(min=0),
        help="For how long a polled endpoint may be unavailable; given, that is judged.",
    )(command)
    command = click.option("--max-lost", type=click.IntRange(min=0), help="Acknowledged records that may be lost.")(
        command
    )
    command = click.option("--rpo", "rpo_s", type=click.FloatRange(min=0), help="RPO in seconds.")(command)
    return click.option("--rto", "rto_s", type=click.FloatRange(min=0), help="RTO in seconds.")(command)


def parameters_from(options: dict[str, Any]) -> Parameters:
    """Parameters from the options that were given."""
    names = {field.name for field in fields(Parameters)}
    return Parameters(**{name: value for name, value in options.items() if name in names and value is not None})


def limits_from(options: dict[str, Any], history: History) -> Limits:
    """The objectives that were given; without both an RTO and an RPO, what is missing is the service's own."""
    rto_s, rpo_s, max_lost = options["rto_s"], options["rpo_s"], options["max_lost"]
    if rto_s is None or rpo_s is None:
        from chaosdrills.host.settings import load_objectives

        objective = load_objectives().get(history.service)
        if objective is None:
            raise UsageError(
                f"there are no objectives for the service {history.service!r}.", "give both --rto and --rpo in seconds."
            )
        rto_s = objective.rto_s if rto_s is None else rto_s
        rpo_s = objective.rpo_s if rpo_s is None else rpo_s
        max_lost = objective.max_lost if max_lost is None else max_lost
    return Limits(
        rto_s,
        rpo_s,
        max_lost,
        fresh=options["fresh_s"] is not None,
        **{name: options[name] for name in ("max_unavailable_s", "max_attempts", "max_attempts_per_min")},
    )
