"""The machine's TCP sockets as the kernel lists them: /proc/net/tcp, /proc/net/tcp6 and /proc/PID/fd (proc(5))."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
LISTEN = "0A"


@dataclass(frozen=True)
class TcpSocket:
    """One end of a connection, or a listening socket (`remote_port` 0).

    `state` is the kernel's, in hex ("01" established, "0A" listening). `uid` is the user whose it is, 0 also for what
    no process holds any more. `inode` says which descriptor holds it.
    """

    local_port: int
    remote_port: int
    state: str
    uid: int
    inode: str


def tcp_sockets() -> list[TcpSocket]:
    """Every TCP socket of this network namespace, IPv4 and IPv6."""
    return [_parse(row) for row in _rows()]


def tcp_ends(local_port: int, remote_port: int) -> list[TcpSocket]:
    """Those ends of connections that are at `local_port`, the other end being at `remote_port`.

    There may be thousands that are only remembered (TIME_WAIT), so no more are taken apart than may be meant.
    """
    needles = (f":{local_port:04X} ", f":{remote_port:04X} ")
    found = [_parse(row) for row in _rows() if all(needle in row for needle in needles)]
    return [it for it in found if (it.local_port, it.remote_port) == (local_port, remote_port)]


def socket_inodes(pid: int) -> set[str]:
    """The inodes of the sockets that the process `pid` holds, as far as this user may see."""
    inodes: set[str] = set()
    try:
        descriptors = list(os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return inodes
    for descriptor in descriptors:
        with suppress(OSError):
            target = os.readlink(descriptor.path)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    return inodes


def accepts(endpoint: str, timeout_s: float = 1.0) -> bool:
    """Whether a connection to `endpoint` (``host:port``) comes about within `timeout_s`."""
    host, port = endpoint.rsplit(":", 1)
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=timeout_s):
        return True
    return False


def _rows() -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            yield from Path(table).read_text().splitlines()[1:]


def _parse(row: str) -> TcpSocket:
    fields = row.split()
    return TcpSocket(_port(fields[1]), _port(fields[2]), fields[3], int(fields[7]), fields[9])


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
