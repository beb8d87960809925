"""`chaos drills status`: what runs on this machine: drills, the lock, faults that are not healed, labs."""

import json
from collections.abc import Iterator
from typing import Any

import click

from chaosdrills.errors import DrillError, UnavailableError

ANSWER_S = 5.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show the drills that run, who holds the lock, faults that are not healed, and labs.

    Looks only. Ends with 0, or with 69 if something of it cannot be read.

    \b
    Example: chaos drills status
    """
    drills, faults, labs = _drills(), _faults(), _labs()
    found = {"drills": drills, "lock": _lock(), "faults": faults, "labs": labs}
    problems = [one["error"] for one in (*drills, *faults, *labs) if "error" in one]
    if as_json:
        click.echo(json.dumps({**found, "problems": problems}, indent=2))
    else:
        for line in _lines(found):
            click.echo(line)
    if problems:
        raise UnavailableError(
            f"{len(problems)} of this cannot be read: {problems[0]}",
            "do what is said, or remove the file that is named.",
        )


def _drills() -> list[dict[str, Any]]:
    """What every running drill tells of itself; with an `error` where it does not."""
    from chaosdrills.observe.running import running

    told: list[dict[str, Any]] = []
    drills, damaged = running()
    for drill in drills:
        about = {"drill_id": drill.drill_id, "title": drill.title, "pid": drill.identity.pid}
        about |= {"folder": str(drill.folder), "started_at": drill.started_at}
        try:
            told.append({**about, **drill.ask(ANSWER_S, do="status")})
        except DrillError as error:
            told.append({**about, "error": str(error)})
    return told + [{"error": f"{each.path} is damaged: {each.why}."} for each in damaged]


def _lock() -> dict[str, Any] | None:
    from chaosdrills.faults.lock import holder

    return holder()


def _faults() -> list[dict[str, Any]]:
    """Every entry of the heal log; `held` if the process that injected it still runs."""
    from chaosdrills.faults.heal_log import outstanding
    from chaosdrills.faults.healing import what

    entries, damaged = outstanding()
    faults: list[dict[str, Any]] = []
    for entry in entries:
        about = {"what": what(entry), "service": entry.target.service, "began_at": entry.began_at}
        faults.append({**about, "pid": entry.owner.pid, "held": entry.held, "drill": entry.drill})
    return faults + [{"error": f"the heal log entry {each.path} is damaged: {each.why}."} for each in damaged]


def _labs() -> list[dict[str, Any]]:
    from chaosdrills.lab.lifecycle import SERVICES
    from chaosdrills.lab.status import status as status_of

    labs: list[dict[str, Any]] = []
    for service in SERVICES:
        try:
            labs.append(status_of(service))
        except DrillError as error:
            labs.append({"service": service, "error": str(error)})
    return labs


def _lines(found: dict[str, Any]) -> Iterator[str]:
    if not found["drills"]:
        yield "No drill runs."
    for drill in found["drills"]:
        yield from _drill_lines(drill)
    lock = found["lock"]
    held = f"held by process {lock['pid']}" + (f" ({lock['drill']})" if lock["drill"] else "") if lock else "free"
    yield f"Lock: {held}"
    if not found["faults"]:
        yield "Faults: none is outstanding"
    for fault in found["faults"]:
        yield _fault_line(fault)
    for lab in found["labs"]:
        where = f" at {lab['endpoint']}" if lab.get("endpoint") else ""
        yield f"Lab: {lab['service']}: " + (lab["error"] if "error" in lab else f"{lab['state']}{where}")


def _drill_lines(drill: dict[str, Any]) -> Iterator[str]:
    if "drill_id" not in drill:
        yield f"Drill: {drill['error']}"
        return
    yield f"Drill {drill['drill_id']}: {drill['title']} (process {drill['pid']}, since {drill['started_at']})"
    yield f"  folder: {drill['folder']}"
    if "error" in drill:
        yield f"  {drill['error']}"
        return
    yield f"  phase: {drill['phase']}, for {drill['phase_s']:.0f} s"
    if drill["since_fault_s"] is not None:
        yield f"  since the fault: {drill['since_fault_s']:.0f} s"
    if drill["hold"] == "held":
        yield "  holds before its fault: 'chaos drills go' injects it"
    if drill["aborted"]:
        yield f"  ends: {drill['aborted']}"
    yield f"  {_figures(drill)}"


def _figures(drill: dict[str, Any]) -> str:
    from chaosdrills.observe.progress import beside_in_words

    figures = drill["figures"]
    if figures is None:
        return "figures: none yet"
    parts = [f"{figures['per_s']:.0f} acks/s", f"{figures['bad_per_s']:.0f} bad/s"]
    if figures["silent_s"] >= 1:
        parts.append(f"a stream silent for {figures['silent_s']:.0f} s")
    if figures["age_s"] is not None:
        parts.append(f"data {figures['age_s']:.1f} s old")
    elif figures.get("stream_kind") != "register":
        parts.append("no reader")
    parts += beside_in_words(figures)
    return ("figures when the load ended: " if drill["load_over"] else "figures: ") + ", ".join(parts)


def _fault_line(fault: dict[str, Any]) -> str:
    if "error" in fault:
        return f"Fault: {fault['error']}"
    whose = f"of process {fault['pid']}, which still runs" if fault["held"] else "left behind: run 'chaos drills heal'"
    return f"Fault: {fault['what']}, since {fault['began_at'][:19]}, {whose}"
