"""`new`: writes an experiment from flags, and from a few questions where a terminal is there to ask."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chaosdrills.cli.numbers import FiniteRange
from chaosdrills.cli.services import SERVICES
from chaosdrills.errors import UsageError

if TYPE_CHECKING:
    from chaosdrills.core.objectives import Objective
    from chaosdrills.gameday.drafting import Draft
    from chaosdrills.gameday.drafting_subjects import Subject

ONLY = {"topic": ("kafka",), "partitions": ("kafka",), "connections": ("timescaledb", "redis")}


def _subject(service: str) -> "Subject":
    """What can be drafted for `service`, looked up when it is needed: the lists grow with the package."""
    from chaosdrills.gameday.drafting_subjects import SUBJECTS

    return SUBJECTS[service]


def _offered(ctx: click.Context, what: str) -> tuple[str, ...]:
    subject = _subject(ctx.params.get("service") or SERVICES[0])
    return subject.faults() if what == "fault" else tuple(subject.roles)


def _check_offered(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what is not offered."""
    return None if value is None else str(click.Choice(_offered(ctx, str(param.name))).convert(value, param, ctx))


def _complete_offered(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete to what is offered."""
    return [each for each in _offered(ctx, str(param.name)) if each.startswith(incomplete)]


offered: dict[str, Any] = {"callback": _check_offered, "shell_complete": _complete_offered}


@click.command()
@click.option("--service", type=click.Choice(SERVICES), default="kafka", show_default=True, is_eager=True)
@click.option("--fault", **offered, help="What is done to it.  [default: kill]")
@click.option("--role", **offered, help="Which broker or node is hit.  [default: leader, primary, or what suits]")
@click.option("--broker-id", "--node-id", "node_id", type=click.IntRange(min=0), help="The broker or node of role id.")
@click.option("--topic", help="Kafka: an existing topic to write to; a new one for each drill if not given.")
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Kafka: partitions of the topic.  [default: 6]")
@click.option("--connections", type=click.IntRange(1, 1000), help="PostgreSQL, Redis: how many write.  [default: 8]")
@click.option("--rate", "rate_per_s", type=FiniteRange(1, 1e6), help="Writes a second.  [default: 200]")
@click.option("--rto", "rto_s", type=FiniteRange(0, 1e9), help="RTO in seconds.  [default: the objective]")
@click.option("--rpo", "rpo_s", type=FiniteRange(0, 1e9), help="RPO in seconds.  [default: the objective]")
@click.option("--max-lost", type=click.IntRange(min=0), help="Records that may be lost.  [default: the objective]")
@click.option("--recovery", type=click.Choice(["self", "healed"]), help="Whether it recovers before it is healed.")
@click.option(
    "--inject", metavar="COMMAND", help="On a cluster of yours: the command that does it; {broker} or {node}, {host} "
    "and {port} are replaced."
)  # fmt: skip
@click.option("--heal", metavar="COMMAND", help="The command that undoes it, and may be repeated.")
@click.option("--check", metavar="COMMAND", help="The command that ends with 0 where what was hit is healthy.")
@click.option(
    "--bootstrap", "--dsn", "--url", "endpoint", help="Where it is by default (host:port,..., a DSN or URL).  [the lab]"
)
@click.option("--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="One more of the fault's own.")
@click.option("--title", help="The experiment's title.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def new(service: str, output: Path | None, force: bool, arguments: tuple[str, ...], **given: Any) -> None:
    """Write an experiment: what is lost, under which load, and by which objectives it is judged.

    On a terminal it asks for what no option gives; elsewhere the defaults hold. What it writes is valid and runs.

    \b
    Example: chaos drills new --fault kill --role controller --rate 500 -o experiments/controller.json
    Example: chaos drills new --service timescaledb --fault pause --role primary -o experiments/frozen.json
    Example: chaos drills new --service timescaledb --fault switch_over
    Example: chaos drills new --service redis --fault pause --connections 4
    """
    from chaosdrills.gameday import drafting
    from chaosdrills.host.files import writing_for_user
    from chaosdrills.host.settings import load_objectives

    subject = _subject(service)
    _refuse_others(service, given)
    if sys.stdin.isatty():
        _ask(subject, given)
    objective = _objective(subject, load_objectives()[service], given)
    fault = given["fault"] or "kill"
    role = given["role"] or drafting.role_of(subject, fault)
    output = output or Path("-".join(filter(None, (service, fault, role))).replace("_", "-") + ".json")
    if output.exists() and not force:
        raise UsageError(f"{output} exists.", "name another file with -o, or add --force.")
    made = drafting.experiment(_draft(output.stem, subject, objective, given, arguments))
    _check(made, given["endpoint"])
    content = drafting.text_of(made)
    with writing_for_user(output) as file:
        file.write(content)
    click.echo(f"{output} is written.")
    click.echo(f"Check it with 'chaos validate {output}', run it with 'chaos run {output}'.")


def _refuse_others(service: str, given: dict[str, Any]) -> None:
    for name, owners in ONLY.items():
        if given[name] is not None and service not in owners:
            raise UsageError(f"--{name} is for {' and '.join(owners)}, not for {service}.", "leave it out.")


def _check(made: dict[str, Any], endpoint: str | None) -> None:
    """Have the workload look at what it is given. Raises `UsageError`."""
    from chaosdrills.observe.arguments import check_workload

    for control in made["controls"]:
        arguments = control["provider"].get("arguments", {})
        if "workload" in arguments:
            given, name = arguments["workload_arguments"], next(iter(WHERE & set(arguments["workload_arguments"])), "")
            known = {name: endpoint} if endpoint and name else {}
            if known:
                _refuse_password(name, str(endpoint))
            check_workload(arguments["workload"], {**given, **known})


WHERE = {"dsn", "url"}


def _refuse_password(name: str, endpoint: str) -> None:
    """Raise `UsageError` for a password that would stand in the file."""
    if name == "dsn":
        from chaosdrills.timescaledb.dsn import Dsn

        found, instead = {"password", "sslpassword"} & set(Dsn.of(endpoint).parameters), "a passfile or PGPASSWORD"
    else:
        from chaosdrills.redis.url import RedisUrl

        found, instead = {"password"} & set(RedisUrl.of(endpoint).secrets), "a passfile or the secrets of 'redis'"
    if found:
        raise UsageError(f"--{name} holds a password.", f"leave it out: give it in {instead}.")


def _draft(
    name: str, subject: "Subject", objective: "Objective", given: dict[str, Any], arguments: tuple[str, ...]
) -> "Draft":
    from chaosdrills.gameday.drafting import Draft, role_of

    plain = ("fault", "role", "node_id", "rate_per_s", "title", "endpoint")
    chosen: dict[str, Any] = {key: given[key] for key in plain if given[key] is not None}
    if given["role"] == "id" and given["node_id"] is None:
        raise UsageError(f"role id needs a {subject.noun}.", f"name it with --{subject.noun}-id.")
    fault = given["fault"] or "kill"
    healed = given["recovery"] == "healed"
    if given["recovery"] is None:
        healed = subject.is_healed(fault, given["role"] or role_of(subject, fault))
    chosen |= {key: tuple(_split(key, given[key] or "")) for key in ("inject", "heal", "check")}
    workload = {key: given[key] for key in ONLY if given[key]}
    pairs = dict(_pair(it) for it in arguments)
    return Draft(name, objective, subject, healed=healed, arguments=pairs, workload=workload, **chosen)


def _objective(subject: "Subject", shipped: "Objective", given: dict[str, Any]) -> "Objective":
    """The service's, with what was given over it."""
    own = {key: given[key] for key in ("rto_s", "rpo_s", "max_lost") if given[key] is not None}
    max_lost = shipped.max_lost or 0 if subject.loses_nothing else shipped.max_lost
    return replace(shipped, **{"max_lost": max_lost, **own})


def _ask(subject: "Subject", given: dict[str, Any]) -> None:
    """Ask for the few things that make a drill and that no option gave."""
    from chaosdrills.gameday.drafting import role_of

    if given["fault"] is None:
        given["fault"] = click.prompt("What is done", default="kill", type=click.Choice(subject.faults()))
    role = role_of(subject, given["fault"])
    if given["role"] is None and role:
        given["role"] = click.prompt(f"To which {subject.noun}", default=role, type=click.Choice(list(subject.roles)))
    for name, question, default, kind in _questions(subject):
        if given[name] is None:
            given[name] = click.prompt(question, default=default, type=kind)
    if given["inject"] is None and "target" in subject.parameters(given["fault"]):
        given["inject"] = click.prompt("By which command of yours (empty: on the lab)", default="", show_default=False)
    if given["inject"] and given["heal"] is None:
        given["heal"] = click.prompt("Which command undoes it, and may be repeated")
    if given["role"] == "id" and given["node_id"] is None:
        given["node_id"] = click.prompt(f"Which {subject.noun}", type=click.IntRange(min=0))


def _questions(subject: "Subject") -> list[tuple[str, str, Any, Any]]:
    """What is asked of every fault: option, question, default and type."""
    rate = ("rate_per_s", "How many writes a second", 200.0, FiniteRange(1, 1e6))
    if subject.spread == "connections":
        return [("connections", "Over how many connections", subject.streams, click.IntRange(1, 1000)), rate]
    return [
        ("topic", "To which topic are records written (empty: a new one)", "", str),
        ("partitions", "Of how many partitions", subject.streams, click.IntRange(1, 10_000)),
        rate,
    ]


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
