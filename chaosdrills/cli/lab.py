"""`lab up`, `down`, `status`, `prepare`: real servers on this machine to run drills on."""

import json
from typing import Any

import click

from chaosdrills.errors import UsageError

LINES_OF_NODE = "  node {id}{kind}  {state:<7}  {endpoint}  pid {pid}  {memory}  log {log}"
EXAMPLES = {
    "patroni": "ttl=30",
    "sentinel": "down-after-milliseconds=5000",
}
SETTINGS = {
    "kafka": "min.insync.replicas=2",
    "timescaledb": "max_connections=50",
    "redis": "min-replicas-to-write=1",
}
"""What --set may be given, by service."""


@click.group()
def lab() -> None:
    """Start and end real servers on this machine (loopback only) to run drills on."""


@lab.command()
@click.argument("service")
@click.option("--base-port", type=int, help="The first client port; the nodes take it and those after it.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the servers; repeatable.")
@click.option("--patroni", multiple=True, metavar="NAME=VALUE", help="A setting of Patroni, such as ttl; repeatable.")
@click.option("--sentinel", multiple=True, metavar="NAME=VALUE", help="A setting of Redis Sentinel; repeatable.")
@click.option("--persistence", help="How Redis keeps its data: aof, rdb or none.  [default: aof]")
@click.option("--acl", is_flag=True, help="Redis has users with passwords, and drills have few rights.")
@click.option("--tls", is_flag=True, help="Redis speaks TLS only; its server must be built with it.")
@click.option(
    "--healer", help="A self-healer of Redis's nodes: backoff, or storm, which has no pauses.  [default: none]"
)
@click.option("--feast", is_flag=True, help="Redis has a feature server of Feast's on top ('lab prepare feast').")
@click.option("--network", help="How nodes can be cut off: plain (not at all), filtered, proxied or isolable.")
@click.option(
    "--timeout-s", type=click.FloatRange(min=1, max=86_400), default=90.0, show_default=True, help="Longest wait."
)
def up(service: str, settings: tuple[str, ...], timeout_s: float, **given: Any) -> None:
    """Start the lab of SERVICE (kafka, timescaledb, redis), or find the one that runs. It runs until 'down'.

    \b
    Example: chaos drills lab up kafka --set broker.session.timeout.ms=3000
    Example: chaos drills lab up redis --set min-replicas-to-write=1 --sentinel down-after-milliseconds=5000 --acl
    """
    from chaosdrills.lab import lifecycle

    options: dict[str, Any] = {
        "settings": dict(_setting("--set", text, SETTINGS.get(service, "NAME=VALUE")) for text in settings)
    }
    for name, value in given.items():
        if isinstance(value, tuple):
            options |= {name: dict(_setting(f"--{name}", text, EXAMPLES[name]) for text in value)} if value else {}
        elif value is not None and value is not False:
            options[name] = value
    cluster = lifecycle.up(service, options, progress=click.echo, timeout_s=timeout_s)
    click.echo(f"The {service} lab runs at {cluster.endpoint}.")
    for name, value in lifecycle.service_module(service).configuration(cluster).items():
        if value and value != cluster.endpoint:
            click.echo(f"  {name}: {value}")
    click.echo(f"End it with 'chaos drills lab down {service}'.")


@lab.command()
@click.argument("service", required=False)
@click.option("--force", is_flag=True, help="Also if a drill is under way on it, which is spoiled then.")
def down(service: str | None, force: bool) -> None:
    """End the lab of SERVICE (all labs if not given) and remove its data; its logs stay.

    \b
    Example: chaos drills lab down kafka
    """
    from chaosdrills.lab import lifecycle

    for name in [service] if service else list(lifecycle.SERVICES):
        ended = lifecycle.down(name, force)
        click.echo(f"The {name} lab has ended." if ended else f"There is no {name} lab.")


@lab.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show every lab: its endpoints, processes, memory and logs.

    \b
    Example: chaos drills lab status
    """
    from chaosdrills.lab.lifecycle import SERVICES
    from chaosdrills.lab.status import status as status_of

    found = [status_of(service) for service in SERVICES]
    if as_json:
        click.echo(json.dumps({"labs": found}, indent=2))
        return
    for one in found:
        _show(one)


@lab.command()
@click.argument("service")
def prepare(service: str) -> None:
    """Fetch and make all that a start of SERVICE's lab needs, once, so that 'up' is quick.

    With 'feast' for SERVICE: what the Redis lab needs to have a feature server (590 MB).

    \b
    Example: chaos drills lab prepare kafka
    """
    from chaosdrills.lab import lifecycle

    lifecycle.prepare(service, click.echo)
    click.echo(f"All that is needed for {service} is there.")


def _setting(option: str, text: str, example: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"{option} {text!r} is not NAME=VALUE.", f"write, for example, {option} {example}.")
    return name.strip(), value.strip()


def _show(lab_status: dict[str, Any]) -> None:
    where = f" at {lab_status['endpoint']}" if lab_status["endpoint"] else ""
    click.echo(f"{lab_status['service']}: {lab_status['state']}{where}")
    if lab_status.get("owner_pid"):
        click.echo(f"  ends with process {lab_status['owner_pid']} (guard: {lab_status['guard_pid']})")
    if lab_status.get("network", "plain") != "plain":
        proxy = f" (pid {lab_status['proxy_pid']})" if lab_status["proxy_pid"] else ""
        click.echo(f"  network: {lab_status['network']}{proxy}")
    for effect in lab_status.get("in_force", ()):
        click.echo(f"  in force: {_effect(effect)}")
    for node in lab_status["nodes"]:
        kind = f" ({node['kind']})" if node["kind"] else ""
        memory = "-" if node["memory_mib"] is None else f"{node['memory_mib']} MiB"
        click.echo(LINES_OF_NODE.format(**{**node, "memory": memory, "pid": node["pid"] or "-", "kind": kind}))


def _effect(effect: dict[str, Any]) -> str:
    node, scope = effect["node"], effect["scope"]
    if effect["kind"] == "cut":
        return f"node {node} is cut off from {scope}"
    jitter = f" +/- {effect['jitter_ms']:g}" if effect["jitter_ms"] else ""
    return f"node {node} is slowed by {effect['latency_ms']:g}{jitter} ms each way, for {scope}"
