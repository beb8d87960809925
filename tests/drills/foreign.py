"""Actions and probes of somebody who knows nothing of drills."""

import os
import signal
import threading
import time
from pathlib import Path


def nothing() -> str:
    """Do nothing, and say so."""
    return "done"


def log_in(password: str, where: str) -> str:
    """Need a secret."""
    return f"logged in at {where} with {len(password)} characters"


def find_nothing() -> list[str]:
    """Hit what a selector matches, which is nothing."""
    return []


def fail() -> None:
    """Fail."""
    raise RuntimeError("the cloud says no")


def pause(pid: int, seconds: float) -> None:
    """Stop a process for some seconds."""
    os.kill(int(pid), signal.SIGSTOP)
    try:
        threading.Event().wait(float(seconds))
    finally:
        os.kill(int(pid), signal.SIGCONT)


def wait_for_file(path: str) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < deadline:
        threading.Event().wait(0.05)


def sleep(seconds: float) -> None:
    """Block, as an action does that waits for its cloud."""
    time.sleep(float(seconds))


def hurt_and_wait(path: str) -> None:
    """Make a file, which is what hurts, and block as if its author had meant to watch."""
    Path(path).touch()
    time.sleep(3000)


def make(path: str) -> str:
    """Make a file, which is what hurts."""
    Path(path).touch()
    return "made"


def remove(path: str) -> str:
    """Take a file away, if it is there."""
    Path(path).unlink(missing_ok=True)
    return "removed"


def swallow() -> str:
    """Block, and go on whatever interrupts that."""
    try:
        time.sleep(3000)
    except BaseException:
        return "swallowed"
    return "waited"
