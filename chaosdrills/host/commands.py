"""Commands of the user: an argv without a shell, bounded, whose output goes to a file."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import Identity, identify, is_alive, uninterrupted, wait_gone

GRACE_S = 2.0
KILLED_S = 10.0
LOOK_S = 0.25
MOST_BYTES = 16 << 20
"""Of a log: the disk that it would fill is that of the record."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (minus the signal's number if one ended it; None: not in time)."""

    status: int | None
    took_s: float


def run(
    argv: Sequence[str], log: Path, cwd: Path, timeout_s: float, started: Callable[[Identity], None] = lambda _: None
) -> Ended:
    """Run `argv` in `cwd`, no standard input, output appended to `log` (anew past 16 MiB); end it after `timeout_s`.

    `started` is told which process it is, so that somebody else can end it (`end`) where this one is killed.

    It has a session of its own, so that Ctrl-C does not reach it. It and what it started there are ended (SIGTERM,
    then SIGKILL) where it does not end in time, or where the wait for it is interrupted. Raises `UnavailableError` if
    it cannot be started.
    """
    begun = time.monotonic()
    with open(log, "ab") as output:
        try:
            with uninterrupted():  # a command that nobody waits for would go on
                process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, start_new_session=True
                )
                _tell(process.pid, started)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UnavailableError(
                f"cannot start {argv[0]}: {reason}.", "check that it is installed and may be executed."
            ) from error
        status: int | None = None
        try:
            status = _wait(process, log, begun + timeout_s)
        finally:
            if status is None:
                _end(process)
    return Ended(status, time.monotonic() - begun)


def end(command: Identity) -> bool:
    """End a command that nobody waits for any more, and what it started in its session; false if it has ended."""
    if not is_alive(command):
        return False
    for signum, wait_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, KILLED_S)):
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signum)
        wait_gone([command], wait_s)
    return True


def _tell(pid: int, started: Callable[[Identity], None]) -> None:
    identity = identify(pid)
    if identity is not None:
        started(identity)


def _wait(process: "subprocess.Popen[bytes]", log: Path, deadline: float) -> int | None:
    """Wait for its end, and begin its log anew whenever that has grown too long; None if it does not end in time."""
    while (left_s := deadline - time.monotonic()) > 0:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(LOOK_S, left_s))
        with suppress(OSError):
            if log.stat().st_size > MOST_BYTES:
                os.truncate(log, 0)  # what is appended later begins there
    return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the command's whole session."""
    for signum, wait_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, KILLED_S)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
