"""`chaos drills heal`: undo what drills left behind."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from chaosdrills.cli.services import SERVICES
from chaosdrills.errors import UnavailableError

if TYPE_CHECKING:
    from chaosdrills.faults.healing import Healing


@click.command("heal")
@click.option("--service", type=click.Choice(SERVICES), help="Only this service's faults; all if not given.")
@click.option("--force", is_flag=True, help="Also heal faults of a drill that still runs (spoils its figures).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def heal(service: str | None, force: bool, as_json: bool) -> None:
    """Undo every fault that is outstanding on this machine, from any folder.

    Reads the heal log, which every fault is written to before it is done. Safe to repeat. Ends with 0 if all is healed
    or there was nothing to do, with 69 if something is left. With --force a drill that runs is told, and marks it.

    \b
    Example: chaos drills heal
    """
    from chaosdrills.faults.healing import heal_outstanding

    healing, told = _heal_by_force(service or "") if force else (heal_outstanding(service or ""), [])
    if as_json:
        outcomes = [asdict(outcome) for outcome in healing.outcomes]
        click.echo(json.dumps({"outcomes": outcomes, **({"told": told} if told else {})}, indent=2))
    else:
        _show(healing)
        for line in told:
            click.echo(line)
    left = sum(not outcome.ok for outcome in healing.outcomes)
    if left:
        raise UnavailableError(
            f"{left} of {len(healing.outcomes)} faults are not healed.",
            "do what is said for each, then run 'chaos drills heal' again.",
        )


def _heal_by_force(service: str) -> tuple["Healing", list[str]]:
    """Heal also what drills have outstanding that run, and tell them; what came of it, and of the telling."""
    from chaosdrills.faults import marking
    from chaosdrills.faults.healing import heal_outstanding
    from chaosdrills.observe.outside import Telling

    telling = Telling(service)
    marking.set_marker(telling.mark)
    try:
        return heal_outstanding(service, force=True), telling.lines
    finally:
        marking.set_marker(None)


def _show(healing: "Healing") -> None:
    if not healing.outcomes:
        click.echo("Nothing to heal.")
    for outcome in healing.outcomes:
        why = f": {outcome.why}" if outcome.why else ""
        click.echo(f"{outcome.result}: {outcome.what}{why}")
        if outcome.hint:
            click.echo(f"  Try: {outcome.hint}")
