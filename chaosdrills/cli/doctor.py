"""`doctor`: whether a drill can run on this machine, and what to do where it cannot."""

import json
from dataclasses import asdict

import click

from chaosdrills.errors import UnavailableError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> None:
    """Look whether a drill can run on this machine: programs, room, rights, the lab, what others left.

    Changes nothing and needs no network. Ends with 0 if a drill can run, with 69 if not.

    \b
    Example: chaos drills doctor
    """
    from chaosdrills.gameday.checkup import can_run, checks, examine

    findings = examine(checks())
    ready = can_run(findings)
    if as_json:
        click.echo(json.dumps({"ready": ready, "checks": [asdict(each) for each in findings]}, indent=2))
    else:
        for each in findings:
            click.echo(f"{each.state:<4}  {each.name}: {each.detail}")
            if each.fix:
                click.echo(f"      Try: {each.fix}")
    failed = [each.name for each in findings if each.state == "fail"]
    if failed:
        raise UnavailableError(f"no drill can run here: {', '.join(failed)}.", "do what is said for each.")
    if not as_json:
        click.echo("A drill can run here.")
