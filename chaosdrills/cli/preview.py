"""`preview`: what a drill's faults would hit now."""

import json
import logging
from typing import Any

import click

from chaosdrills.cli.completion import complete_experiments


@click.command()
@click.argument("experiment", shell_complete=complete_experiments)
@click.option("--var", "variables", multiple=True, metavar="NAME[:TYPE]=VALUE", help="As for 'chaos run'; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def preview(experiment: str, variables: tuple[str, ...], as_json: bool) -> None:
    """Show what the faults of EXPERIMENT would hit now, by which means, and what bounds and heals them.

    \b
    Example: chaos drills preview my-experiment.json --var role=controller

    Changes nothing. Ends with 0 if nothing stands in the way, else with what the drill would be refused for: 64 for
    what the experiment asks for, 69 for a cluster that is degraded or does not answer, for another drill, and for what
    an earlier one left broken.
    """
    from chaosdrills.preview.experiment import preview as preview_of

    logging.getLogger("chaosdrills").addHandler(logging.NullHandler())  # what a client notes aside is in the error too
    found, error = preview_of(experiment, variables)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(found)
    if error is not None:
        raise error


def _show(found: dict[str, Any]) -> None:
    click.echo(found["experiment"])
    cluster = found["cluster"]
    if cluster is not None:
        click.echo(
            f"Cluster: {cluster['endpoint']}, {cluster['kind']}; {cluster['brokers']} {cluster.get('noun', 'brokers')}"
        )
        click.echo(f"Degraded already: {cluster['degraded'] or 'no'}")
    for fault in found["faults"]:
        _show_fault(fault)
    if not found["faults"]:
        click.echo("Fault: none")
    for heal in found["heals"]:
        click.echo(f"Heal: {heal['name']} ({heal['where']}): {heal['how']}")
    unsafe = "" if found["rollbacks"]["safe"] else "; a drill that fails or deviates is not healed: set it to 'always'"
    click.echo(f"Rollbacks: {found['rollbacks']['strategy']}{unsafe}")
    click.echo(f"Lock: {found['lock'] or 'free; held from before the first look until all is healed'}")
    click.echo(f"Not healed yet: {', '.join(found['outstanding']) or 'nothing'}")


def _show_fault(fault: dict[str, Any]) -> None:
    click.echo(f"Fault: {fault['name']} ({fault['means']})")
    if len(fault["hits"]) > 1:
        click.echo(f"  hits {len(fault['hits'])} {fault['hits'][0].get('noun', 'broker')}s")
    for hit in fault["hits"]:
        where = hit["address"] or "an address that is not known"
        click.echo(f"  hits {hit.get('noun', 'broker')} {hit['broker']} at {where}: {hit['why']}")
        click.echo(f"    by {hit['by']}")
        click.echo(f"    heal: {hit['heal']}")
        if hit["check"]:
            click.echo(f"    check: {hit['check']}")
    if fault["then"]:
        click.echo(f"  hits {fault['then']}")
    if fault["later"]:
        click.echo("  as things are now: the faults before it may have changed that by then")
    if fault["bounds"]:
        click.echo(f"  bounds: {'; '.join(fault['bounds'])}")
    if fault["refused"]:
        click.echo(f"  would be refused: {fault['refused']}")
