"""One drill at a time: the lock that is held while faults of a run are outstanding.

`$XDG_STATE_HOME/chaosdrills/faults.lock`, an advisory flock(2) with the holder written in it
(``{"pid": 1, "drill": "kafka-broker-loss"}``). The kernel releases it when the holder dies, however it dies.
"""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from chaosdrills.errors import UnavailableError
from chaosdrills.host.paths import state_dir

_LOCKS = Path("/proc/locks")
_held: dict[Path, int] = {}
_kept: set[Path] = set()


def hold(drill: str = "", keep: bool = False) -> None:
    """Take the lock, or go on holding it if this process has it; with `keep` until it is released as one that is kept.

    Raises `UnavailableError` naming the holder if another process has it.
    """
    path = _path()
    try:
        if path not in _held:
            _held[path] = _take(path, drill)
        if keep:
            _kept.add(path)
    except OSError as error:
        raise UnavailableError(
            f"cannot take the lock {path}: {error.strerror}; nothing was injected.",
            "make that folder writable, or set XDG_STATE_HOME to another one.",
        ) from error


def release(kept: bool = False) -> None:
    """Give the lock back; nothing if this process does not have it, or keeps it and `kept` is false."""
    path = _path()
    if path in _kept and not kept:
        return
    _kept.discard(path)
    descriptor = _held.pop(path, None)
    if descriptor is not None:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _take(path: Path, drill: str) -> int:
    """The descriptor that holds the lock. Raises `UnavailableError` naming the holder, or `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "drill": drill}).encode(), 0)
    except BlockingIOError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise UnavailableError(
            f"another drill has faults outstanding on this machine: {holder}; nothing was injected.",
            "wait until it has ended, or end it and run 'chaos drills heal'.",
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _path() -> Path:
    return state_dir() / "faults.lock"


def _holder(descriptor: int) -> str:
    """Who has it, as far as it has been written yet."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        holder = json.loads(os.pread(descriptor, 4096, 0))
        name = f" ({holder['drill']})" if holder["drill"] else ""
        return f"process {int(holder['pid'])}{name}"
    return "a process that has just taken it"


def holder() -> dict[str, Any] | None:
    """Who has the lock now, as ``{"pid", "drill"}``; None if nobody has. Takes nothing, so that it disturbs nobody."""
    path = _path()
    try:
        inode, told = path.stat().st_ino, json.loads(path.read_text())
        held = any(line.split()[1] == "FLOCK" and f":{inode} " in line for line in _LOCKS.read_text().splitlines())
        return {"pid": int(told["pid"]), "drill": str(told["drill"])} if held else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
