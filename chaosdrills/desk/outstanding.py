"""Checks of what other drills do or have left: a drill that is under way, and faults that are not healed."""

import os
import re
from pathlib import Path

from chaosdrills.desk.checkup import Finding
from chaosdrills.errors import DrillError
from chaosdrills.faults import heal_log as log
from chaosdrills.faults import registry
from chaosdrills.faults.heal_log import Entry
from chaosdrills.host.paths import state_path

LOCKS = Path("/proc/locks")
_FLOCK = re.compile(r"\d+: FLOCK +ADVISORY +WRITE (\d+) \w+:\w+:(\d+) ")


def drill() -> Finding:
    """No other drill holds the lock: the kernel's table tells, so that a look never takes it from a drill."""
    pid = _holder(state_path("faults.lock"))
    if pid is None:
        return Finding("other drills", "ok", "none is under way")
    return Finding("other drills", "fail", f"process {pid} has faults outstanding", "wait until that drill has ended.")


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
    if fault is None or not getattr(fault, "local", True):
        return True
    try:
        return not entry.before_boot and fault.needs_heal(entry.target)
    except (DrillError, KeyError, TypeError):
        return True


def _holder(path: Path) -> int | None:
    """The process that holds an exclusive flock(2) on `path`, by /proc/locks (proc(5)); None if none does."""
    try:
        inode = os.stat(path).st_ino
        table = LOCKS.read_text()
    except OSError:
        return None
    return next((int(match[1]) for match in _FLOCK.finditer(table) if int(match[2]) == inode), None)
