"""Advisory locks between processes, with a bounded wait. The kernel frees one when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import wait_until


@contextmanager
def held(path: Path, timeout_s: float, doing: str) -> Iterator[None]:
    """Hold the lock file `path` (made if missing) exclusively; a child process does not inherit it.

    Raises `UnavailableError` if another process holds it for `timeout_s`; `doing` says what that process is then
    busy with ("starting the lab").
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not wait_until(lambda: _try_lock(descriptor), timeout_s):
            raise UnavailableError(
                f"another process has been {doing} for {timeout_s:g} s.", f"wait for its end; it holds {path}."
            )
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
