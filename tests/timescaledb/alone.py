"""A PostgreSQL of a test's own, without Patroni: for what would hurt the lab, and for what that is not."""

import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg

from chaosdrills.host.processes import Identity, send_signal, spawn, wait_gone, wait_until
from chaosdrills.host.sockets import accepts
from chaosdrills.lab.postgresql_programs import find_programs
from tests.conftest import free_base_port


class Alone:
    """A server in `folder` with the user drill, who is no superuser, and his database drill. Anybody is believed."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.port = free_base_port((0,))
        self._programs = find_programs()
        self._process: Identity | None = None
        argv = [*self._programs.prefix, str(self._programs.bindir / "initdb"), "-U", "postgres", "-A", "trust", "-N"]
        subprocess.run([*argv, "-D", str(self.data)], check=True, capture_output=True, timeout=60)

    @property
    def dsn(self) -> str:
        return f"postgresql://drill@127.0.0.1:{self.port}/drill"

    def start(self, **parameters: str) -> None:
        """Start it, and wait until its port is open."""
        given = {"port": self.port, "unix_socket_directories": "", "listen_addresses": "127.0.0.1", **parameters}
        argv = [*self._programs.prefix, str(self._programs.bindir / "postgres"), "-D", str(self.data)]
        argv += [f"--{name}={value}" for name, value in given.items()]
        self._process = spawn(argv, self.log, self.data.parent, {"PATH": "/usr/bin:/bin"})
        assert wait_until(lambda: accepts(f"127.0.0.1:{self.port}"), 20), self.log.read_text()

    def make_user(self) -> None:
        """Make the user drill and his database, once it is up."""
        assert wait_until(self._answers, 20, 0.1), self.log.read_text()
        with self.superuser("postgres") as connection:
            connection.execute("CREATE ROLE drill LOGIN")
            connection.execute("CREATE DATABASE drill OWNER drill")

    def superuser(self, database: str = "drill") -> "psycopg.Connection[tuple[object, ...]]":
        """A session of the superuser."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True, connect_timeout=10
        )

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), self.superuser("postgres"):
            return True
        return False

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            send_signal(self._process, signal.SIGQUIT)
            assert not wait_gone([self._process], 20)
            self._process = None
