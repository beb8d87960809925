"""Starting, identifying and ending processes.

An *identity* is a pid and the kernel's start time of that process (field 22 of /proc/PID/stat, in clock ticks since
boot; proc(5)). A pid alone may belong to another process by the time it is used.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chaosdrills.errors import UnavailableError


@dataclass(frozen=True)
class Identity:
    """One process of this machine, for as long as it lives."""

    pid: int
    start_ticks: int


def identify(pid: int) -> Identity | None:
    """The identity of the living process `pid`; None if there is none or it is a zombie.

    A first thread that has ended is shown as a zombie while others still run or hold sockets: that is alive.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = stat[stat.rindex(")") + 2 :].split()
    threads, start_ticks = int(rest[16]), int(rest[18])
    return None if state in "ZX" and threads <= 1 else Identity(pid, start_ticks)


def this_process() -> Identity:
    """The identity of the process that calls this."""
    identity = identify(os.getpid())
    assert identity is not None, "a process that runs is alive"
    return identity


def is_alive(identity: Identity) -> bool:
    """True if exactly this process still lives (a paused one does)."""
    return identify(identity.pid) == identity


def is_stopping(identity: Identity) -> bool:
    """Whether SIGSTOP was sent to this process and has not stopped it yet: it is pending (proc(5), ShdPnd)."""
    with suppress(OSError):
        status = Path(f"/proc/{identity.pid}/status").read_text()
        pending = next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd:"))
        return bool(int(pending, 16) >> (signal.SIGSTOP - 1) & 1) and is_alive(identity)
    return False


def thread_states(identity: Identity) -> set[str]:
    """The states of all threads of exactly this process: letters of proc(5), "T" for stopped. Empty if it is gone.

    Threads that have ended (Z, X) do not count.
    """
    states = set()
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{identity.pid}/task"):
            with suppress(OSError):
                stat = Path(f"/proc/{identity.pid}/task/{thread}/stat").read_text()
                states.add(stat[stat.rindex(")") + 2])
    return states - {"Z", "X"} if is_alive(identity) else set()


def is_paused(identity: Identity) -> bool:
    """True if exactly this process lives and all of its threads are stopped."""
    return thread_states(identity) == {"T"}


def family_of(identities: Collection[Identity]) -> set[Identity]:
    """These processes, and all living ones that they have started, and those these have, and so on."""
    family, waiting = set(identities), [it.pid for it in identities]
    while waiting:
        for child in _children_of(waiting.pop()) - family:
            family.add(child)
            waiting.append(child.pid)
    return family


def _children_of(pid: int) -> set[Identity]:
    found: set[Identity | None] = set()
    with suppress(OSError):  # it may vanish while it is looked at, and so may each of its threads
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                children = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                found |= {identify(int(child)) for child in children.split()}
    return {child for child in found if child is not None}


def send_signal(identity: Identity, signum: int) -> bool:
    """Send `signum` to exactly this process. False if it is gone."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(handle, signum)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def spawn(
    argv: Sequence[str],
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Identity:
    """Start `argv` in a session of its own, its output appended to `log`, no standard input.

    Raises `UnavailableError` if the program cannot be started.
    """
    with open(log, "ab") as output:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=env,
                start_new_session=True, pass_fds=tuple(pass_fds),
            )  # fmt: skip
        except OSError as error:
            raise UnavailableError(
                f"cannot start {argv[0]}: {error.strerror}.",
                "check that it is installed and may be executed.",
            ) from error
    identity = identify(process.pid)
    _children[process.pid] = process
    if identity is None:
        raise UnavailableError(f"{argv[0]} ended at once.", f"read its log, {log}.")
    return identity


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGUSR1 wait until the block has ended: what is done in it is done wholly.

    For what takes milliseconds, such as starting a process and writing it down. Signals reach the main thread only, so
    in others there is nothing to do. A child does not inherit this.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {number: signal.signal(number, lambda signum, frame: caught.append(signum)) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if caught:
            signal.raise_signal(caught[0])


_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_children: dict[int, "subprocess.Popen[bytes]"] = {}


def reap() -> None:
    """Collect the exit statuses of ended children of this process, so that none stays a zombie."""
    for pid, process in list(_children.items()):
        if process.poll() is not None:
            del _children[pid]


def wait_gone(identities: Sequence[Identity], timeout_s: float) -> list[Identity]:
    """Wait until all are gone or `timeout_s` passed; returns those still alive."""

    def gone() -> bool:
        reap()
        return not any(is_alive(identity) for identity in identities)

    wait_until(gone, timeout_s)
    return [identity for identity in identities if is_alive(identity)]


def stop(identities: Sequence[Identity], grace_s: float = 10.0) -> None:
    """End all: SIGCONT and SIGTERM, then SIGKILL after `grace_s`. Raises `UnavailableError` if one survives that."""
    for identity in identities:
        send_signal(identity, signal.SIGTERM)
        send_signal(identity, signal.SIGCONT)
    stubborn = wait_gone(identities, grace_s)
    for identity in stubborn:
        send_signal(identity, signal.SIGKILL)
    left = wait_gone(stubborn, 10.0)
    if left:
        pids = ", ".join(str(identity.pid) for identity in left)
        raise UnavailableError(f"processes {pids} do not end on SIGKILL.", "look at them with 'ps'; the disk may hang.")


def wait_until(condition: Callable[[], bool], timeout_s: float, poll_s: float = 0.02) -> bool:
    """Poll `condition` until it holds or `timeout_s` passed; returns whether it held."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll_s)
    return True
