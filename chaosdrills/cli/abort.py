"""`chaos drills abort`: end the running drill in good order, and see that all is whole."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from chaosdrills.cli.addressing import drill_option
from chaosdrills.errors import DrillError, UnavailableError

if TYPE_CHECKING:
    from chaosdrills.faults.healing import Healing
    from chaosdrills.observe.running import Running

TIMEOUT_S = 300.0
POLL_S = 0.5


@dataclass(frozen=True)
class Aborted:
    """How it ended: the verdict and why as its summary has them (None: it left none), and what healing did after it.

    `not_undone` names faults of other extensions that no heal has followed: only they know whether they are over.
    """

    verdict: str | None
    why: str | None
    waited_s: float
    healing: "Healing"
    not_undone: str = ""


@click.command("abort")
@drill_option
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=1, max=86_400),
    default=TIMEOUT_S,
    show_default=True,
    help="How long to wait for its end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; what is waited for goes to stderr.")
def abort(wanted: str, timeout_s: float, as_json: bool) -> None:
    """End the running drill: rollbacks are kept, faults healed, the record closed; its verdict is never met.

    Waits until its process has ended, and says whether all is whole (null: another extension's fault has no heal). Ends
    with 0, with 69 if something is not healed, or the drill does not end in time.

    \b
    Example: chaos drills abort
    """
    from chaosdrills.observe.running import chosen

    drill = chosen(wanted)
    answer = drill.ask(do="abort", by="'chaos drills abort'")
    how = "is being aborted" if answer["accepted"] else "ends already"
    click.echo(f"{drill.title!r} {how}: it is in the phase {answer['phase']!r}.", err=as_json)
    ended = _wait(drill, timeout_s, as_json)
    if as_json:
        click.echo(json.dumps(_as_json(drill, ended), indent=2))
    else:
        _show(ended)
    left = [outcome for outcome in ended.healing.outcomes if not outcome.ok]
    if left:
        raise UnavailableError(
            f"the drill has ended, but {len(left)} of its faults are not healed.",
            "do what is said for each, then run 'chaos drills heal'.",
        )


def _wait(drill: "Running", timeout_s: float, quiet: bool) -> Aborted:
    """Wait for the end of the drill's process, then heal what it left. Raises `UnavailableError` if it does not end."""
    from chaosdrills.faults.healing import heal_outstanding
    from chaosdrills.host.processes import is_alive

    begun, phase = time.monotonic(), ""
    while is_alive(drill.identity):
        told = _phase(drill)
        if told and told != phase:
            phase = told
            click.echo(f"  {phase} ...", err=quiet)
        if time.monotonic() - begun >= timeout_s:
            raise UnavailableError(
                f"the drill (process {drill.identity.pid}) has not ended after {timeout_s:g} s; it is in the phase "
                f"{phase!r}.",
                f"look at its own terminal; end process {drill.identity.pid}, then run 'chaos drills heal'.",
            )
        time.sleep(POLL_S)
    waited_s = time.monotonic() - begun
    summary = _summary(drill)
    why = summary.get("why")
    healing = heal_outstanding(wanted=lambda entry: entry.owner == drill.identity)
    about = summary.get("environment")
    not_undone = str(about.get("not_undone") or "") if isinstance(about, dict) else ""
    first = why[0] if isinstance(why, list) and why else None
    return Aborted(summary.get("verdict"), first, waited_s, healing, not_undone)


def _phase(drill: "Running") -> str:
    """What it does now; empty if it does not say."""
    try:
        return str(drill.ask(2.0, do="status")["phase"])
    except DrillError:
        return ""


def _summary(drill: "Running") -> dict[str, Any]:
    try:
        found = json.loads((drill.folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _as_json(drill: "Running", ended: Aborted) -> dict[str, Any]:
    left = [outcome.what for outcome in ended.healing.outcomes if not outcome.ok]
    return {
        "drill_id": drill.drill_id,
        "folder": str(drill.folder),
        "verdict": ended.verdict,
        "why": ended.why,
        "waited_s": round(ended.waited_s, 3),
        "whole": None if ended.not_undone and not left else not left,
        "left": left,
        "not_undone": ended.not_undone,
    }


def _show(ended: Aborted) -> None:
    verdict = ended.verdict or "unknown (it left no summary)"
    click.echo(
        f"It has ended after {ended.waited_s:.1f} s. Verdict: {verdict}" + (f": {ended.why}" if ended.why else "")
    )
    for outcome in ended.healing.outcomes:
        click.echo(f"{outcome.result}: {outcome.what}" + (f": {outcome.why}" if outcome.why else ""))
        if outcome.hint:
            click.echo(f"  Try: {outcome.hint}")
    if not all(outcome.ok for outcome in ended.healing.outcomes):
        return
    if ended.not_undone:
        click.echo(
            f"Nothing of ours is outstanding. Whether {ended.not_undone}, done by another extension, is undone, "
            "only that can say."
        )
    else:
        click.echo("All is whole: no fault of it is outstanding, and its process has ended.")
