"""`chaos drills go`: let a drill that holds inject its fault."""

import json

import click

from chaosdrills.cli.addressing import drill_option


@click.command()
@drill_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def go(wanted: str, as_json: bool) -> None:
    """Let the drill that holds (run with --hold) go on: it injects its fault once its baseline is clean.

    \b
    Example: chaos drills go
    """
    from chaosdrills.observe.running import chosen

    drill = chosen(wanted)
    drill.ask(do="go")
    if as_json:
        click.echo(json.dumps({"drill_id": drill.drill_id, "gone_on": True}, indent=2))
    else:
        click.echo(f"{drill.title!r} goes on.")
