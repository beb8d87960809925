"""Checks of what other drills do or have left: a drill that is under way, and faults that are not healed."""

from chaosdrills.errors import DrillError
from chaosdrills.faults import heal_log as log
from chaosdrills.faults import lock, registry
from chaosdrills.faults.heal_log import Entry
from chaosdrills.gameday.checkup import Finding
from chaosdrills.host.paths import state_path
from chaosdrills.observe.running import running


def drill() -> Finding:
    """No other drill is under way, be it before its fault or behind it."""
    holder = lock.held_by()
    if holder:
        return Finding("other drills", "fail", f"{holder} has faults outstanding", "wait until that drill has ended.")
    drills = running()[0] if state_path("drills").exists() else []
    if drills:
        named = ", ".join(f"{one.title!r} (process {one.identity.pid})" for one in drills)
        fix = "wait for its end, or run 'chaos drills abort'."
        return Finding("other drills", "fail", f"{named} is under way", fix)
    return Finding("other drills", "ok", "none is under way")


def heal_log() -> Finding:
    """Nothing is left broken."""
    if not state_path("heal").exists():
        return Finding("heal log", "ok", "empty")
    entries, damaged = log.outstanding()
    left = [f"{entry.fault} of {entry.target.label}" for entry in entries if not entry.held and _is_broken(entry)]
    if damaged:
        return Finding("heal log", "fail", f"damaged: {damaged[0].path}: {damaged[0].why}", "run 'chaos drills heal'.")
    if left:
        return Finding("heal log", "fail", f"not healed: {', '.join(left)}", "run 'chaos drills heal'.")
    return Finding("heal log", "ok", f"{len(entries)} entries, nothing to heal" if entries else "empty")


def _is_broken(entry: Entry) -> bool:
    """Whether it is still to be healed. A fault elsewhere is not asked: that would run commands."""
    fault = registry.find(entry.fault)
    if fault is None or not fault.local:
        return True
    try:
        return not entry.before_boot and fault.needs_heal(entry.target)
    except (DrillError, KeyError, TypeError):
        return True
