"""Is a port free, and if not, who holds it."""

import os
import random
import socket
from collections.abc import Iterable
from pathlib import Path

from chaosdrills.errors import UnavailableError
from chaosdrills.host.sockets import LISTEN, LOOPBACK, socket_inodes, tcp_sockets


def require_free(ports: Iterable[int], hint: str) -> None:
    """Raise `UnavailableError`, naming port and holder, if one of `ports` cannot be bound on loopback."""
    for port in ports:
        if not is_free(port):
            raise UnavailableError(f"port {port} of {LOOPBACK} is taken by {holder(port)}.", hint)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_pair(distance: int) -> int:
    """A port that is free now and has a free one `distance` above it, both below the kernel's ephemeral range.

    Drawn at random: two programs that ask at the same time must not be told the same.
    """
    for port in random.sample(range(30000, 32000), 2000):
        if is_free(port) and is_free(port + distance):
            return port
    raise UnavailableError("no two free ports between 30000 and 32000.", "end what listens on all of them.")


def holder(port: int) -> str:
    """Who listens on `port`: pid and command, as far as this user may see."""
    inodes = _listening_inodes(port)
    for pid in _pids():
        if inodes & socket_inodes(pid):
            return f"process {pid} ({command(pid)})"
    return "a process that this user may not see" if inodes else "a connection that is just closing"


def command(pid: int) -> str:
    """The command line of `pid`, at most 120 characters of it; '?' if it is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return "?"
    text = b" ".join(words).decode(errors="replace")
    return text if len(text) <= 120 else f"{text[:58]} ... {text[-57:]}"


def _listening_inodes(port: int) -> set[str]:
    return {it.inode for it in tcp_sockets() if it.state == LISTEN and it.local_port == port}


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
