"""One drill at a time: the lock that is held while faults of a run are outstanding.

`$XDG_STATE_HOME/chaosdrills/faults.lock`, an advisory flock(2) with the holder written in it
(``{"pid": 1, "drill": "kafka-broker-loss"}``). The kernel releases it when the holder dies, however it dies.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def kept(drill: str = "") -> Iterator[None]:
    """Hold the lock for the whole of the block, whatever is healed in it; afterwards as `hold` does.

    Raises `UnavailableError` as `hold` does.
    """
    path = _path()
    before = path in _kept
    hold(drill, keep=True)
    try:
        yield
    finally:
        if not before:
            _kept.discard(path)


def holder() -> dict[str, Any] | None:
    """Who has the lock now, as ``{"pid", "drill"}``; None if nobody has. Takes nothing, so that it disturbs nobody."""
    path = _path()
    try:
        inode, told = path.stat().st_ino, _told(path.read_bytes())
        held = any(line.split()[1] == "FLOCK" and f":{inode} " in line for line in _LOCKS.read_text().splitlines())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return told if held else None


def held_by() -> str:
    """Who has the lock now, as "process 17 (kafka-broker-loss)"; empty if nobody has."""
    found = holder()
    return _named(found) if found else ""


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
        return _named(_told(os.pread(descriptor, 4096, 0)))
    return "a process that has just taken it"


def _told(text: bytes | str) -> dict[str, Any]:
    """What a holder has written. Raises `ValueError`, `KeyError` or `TypeError` if it is not that."""
    told = json.loads(text)
    return {"pid": int(told["pid"]), "drill": str(told["drill"])}


def _named(holder: dict[str, Any]) -> str:
    name = f" ({holder['drill']})" if holder["drill"] else ""
    return f"process {holder['pid']}{name}"
