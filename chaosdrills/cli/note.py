"""`chaos drills note`: a timed remark into the record of the running drill."""

import json

import click

from chaosdrills.cli.addressing import drill_option

KEPT_S = 100.0  # a drill that warms up has no record yet, and the note waits for it


@click.command()
@click.argument("text")
@drill_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def note(text: str, wanted: str, as_json: bool) -> None:
    """Put the remark TEXT, with this instant, into the record of the running drill, and so into its report.

    It is on disk when this returns. Nothing is judged by it. Line ends and control characters become spaces, and names
    of this machine and its user are left out, as in all that a drill keeps; 16 KiB are kept at most.

    \b
    Example: chaos drills note "the on-call engineer was paged"
    """
    from chaosdrills.observe.running import chosen

    drill = chosen(wanted)
    at_s = drill.ask(KEPT_S, do="note", text=text)["at_s"]
    if as_json:
        click.echo(json.dumps({"drill_id": drill.drill_id, "at_s": at_s}, indent=2))
    else:
        click.echo(f"Noted at {at_s:.3f} s of the record of {drill.title!r}.")
