"""`new`: writes an experiment from flags, and from a few questions where a terminal is there to ask."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chaosdrills.cli.numbers import FiniteRange
from chaosdrills.errors import UsageError

if TYPE_CHECKING:
    from chaosdrills.core.objectives import Objective
    from chaosdrills.gameday.drafting import Draft

SERVICES = ("kafka",)


def _offered(what: str) -> tuple[str, ...]:
    """What `chaosdrills.gameday.drafting` offers, looked up when it is needed: the lists grow with the package."""
    from chaosdrills.gameday import drafting

    offered: tuple[str, ...] = {"fault": drafting.faults, "role": drafting.roles}[what]()
    return offered


def _check_offered(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what is not offered."""
    return None if value is None else str(click.Choice(_offered(str(param.name))).convert(value, param, ctx))


def _complete_offered(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete to what is offered."""
    return [each for each in _offered(str(param.name)) if each.startswith(incomplete)]


offered: dict[str, Any] = {"callback": _check_offered, "shell_complete": _complete_offered}


@click.command()
@click.option("--service", type=click.Choice(SERVICES), default="kafka", show_default=True)
@click.option("--fault", **offered, help="What is done to it.  [default: kill]")
@click.option("--role", **offered, help="Which broker is hit.  [default: leader]")
@click.option("--broker-id", type=click.IntRange(min=0), help="The broker of role id.")
@click.option("--topic", help="An existing topic to write to; a new one for each drill if not given.")
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Partitions of the topic.  [default: 6]")
@click.option("--rate", "rate_per_s", type=FiniteRange(1, 1e6), help="Records a second.  [default: 200]")
@click.option("--rto", "rto_s", type=FiniteRange(0, 1e9), help="RTO in seconds.  [default: the objective]")
@click.option("--rpo", "rpo_s", type=FiniteRange(0, 1e9), help="RPO in seconds.  [default: the objective]")
@click.option("--max-lost", type=click.IntRange(min=0), help="Records that may be lost.  [default: the objective]")
@click.option("--recovery", type=click.Choice(["self", "healed"]), help="Whether it recovers before it is healed.")
@click.option(
    "--inject", metavar="COMMAND", help="On a cluster of yours: the command that does it; {broker} is replaced."
)
@click.option("--heal", metavar="COMMAND", help="The command that undoes it, and may be repeated.")
@click.option("--check", metavar="COMMAND", help="The command that ends with 0 where the broker is healthy.")
@click.option("--bootstrap", help="Where the cluster is by default (host:port,...).  [default: the lab]")
@click.option("--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="One more of the fault's own.")
@click.option("--title", help="The experiment's title.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def new(service: str, output: Path | None, force: bool, arguments: tuple[str, ...], **given: Any) -> None:
    """Write an experiment: what is lost, under which load, and by which objectives it is judged.

    On a terminal it asks for what no option gives; elsewhere the defaults hold. What it writes is valid and runs.

    \b
    Example: chaos drills new --fault kill --role controller --rate 500 -o experiments/controller.json
    """
    from chaosdrills.gameday import drafting
    from chaosdrills.host.files import writing_for_user
    from chaosdrills.host.settings import load_objectives

    if sys.stdin.isatty():
        _ask(given)
    objective = _objective(load_objectives()[service], given)
    output = output or Path(f"{service}-{given['fault'] or 'kill'}-{given['role'] or 'leader'}.json")
    if output.exists() and not force:
        raise UsageError(f"{output} exists.", "name another file with -o, or add --force.")
    made = drafting.experiment(_draft(output.stem, objective, given, arguments))
    _check(made)
    content = drafting.text_of(made)
    with writing_for_user(output) as file:
        file.write(content)
    click.echo(f"{output} is written.")
    click.echo(f"Check it with 'chaos validate {output}', run it with 'chaos run {output}'.")


def _check(made: dict[str, Any]) -> None:
    """Have the workload look at what it is given. Raises `UsageError`."""
    from chaosdrills.observe.arguments import check_workload

    for control in made["controls"]:
        arguments = control["provider"].get("arguments", {})
        if "workload" in arguments:
            check_workload(arguments["workload"], arguments["workload_arguments"])


def _draft(name: str, objective: "Objective", given: dict[str, Any], arguments: tuple[str, ...]) -> "Draft":
    from chaosdrills.gameday.drafting import Draft

    plain = ("fault", "role", "broker_id", "topic", "partitions", "rate_per_s", "title", "bootstrap")
    chosen: dict[str, Any] = {key: given[key] for key in plain if given[key] is not None}
    if given["role"] == "id" and given["broker_id"] is None:
        raise UsageError("role id needs a broker.", "name it with --broker-id.")
    healed = given["recovery"] == "healed" or (given["recovery"] is None and given["role"] == "followers")
    chosen |= {key: tuple(_split(key, given[key] or "")) for key in ("inject", "heal", "check")}
    return Draft(name, objective, healed=healed, arguments=dict(_pair(it) for it in arguments), **chosen)


def _objective(shipped: "Objective", given: dict[str, Any]) -> "Objective":
    own = {key: given[key] for key in ("rto_s", "rpo_s", "max_lost") if given[key] is not None}
    return replace(shipped, **own)


def _ask(given: dict[str, Any]) -> None:
    """Ask for the few things that make a drill and that no option gave."""
    questions: tuple[tuple[str, str, Any, Any], ...] = (
        ("fault", "What is done", "kill", click.Choice(_offered("fault"))),
        ("role", "To which broker", "leader", click.Choice(_offered("role"))),
        ("topic", "To which topic are records written (empty: a new one)", "", str),
        ("partitions", "Of how many partitions", 6, click.IntRange(1, 10_000)),
        ("rate_per_s", "How many records a second", 200.0, FiniteRange(1, 1e6)),
    )
    for name, question, default, kind in questions:
        if given[name] is None:
            given[name] = click.prompt(question, default=default, type=kind)
    if given["inject"] is None:
        given["inject"] = click.prompt("By which command of yours (empty: on the lab)", default="", show_default=False)
    if given["inject"] and given["heal"] is None:
        given["heal"] = click.prompt("Which command undoes it, and may be repeated")
    if given["role"] == "id" and given["broker_id"] is None:
        given["broker_id"] = click.prompt("Which broker", type=click.IntRange(min=0))


def _split(option: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--{option} {text!r} is no command line: {error}.", "quote it as for a shell.") from error


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"--argument {text!r} is not NAME=VALUE.", "write, for example, --argument partition=2.")
    return name, value
