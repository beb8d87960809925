"""A PostgreSQL server by itself, without Patroni, so that a test may do to it what nobody should."""

import shutil
import socket
import subprocess
from pathlib import Path

import psycopg

from chaosdrills.lab.postgresql_programs import find_programs

SETTINGS = "listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=16MB", "wal_level=replica"


class Lone:
    """One server in `folder`, made by its first start. Its superuser is drill, who needs no password."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._programs = find_programs()
        self._log = folder / "log"
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def make(self) -> None:
        """Make its data."""
        self._run("initdb", "-U", "drill", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C", "-D", self.data)
        with open(self.data / "postgresql.conf", "a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in (it.split("=") for it in SETTINGS))
            file.write(f"port = {self.port}\n")

    def start(self) -> None:
        self._run("pg_ctl", "-w", "-D", self.data, "-l", self._log, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; nothing if it does not run."""
        self._run("pg_ctl", "-w", "-D", self.data, "-m", mode, "stop", fails=True)

    def promote(self) -> None:
        """Have it begin a timeline of its own."""
        self.stop("fast")
        (self.data / "standby.signal").touch()
        self.start()
        self._run("pg_ctl", "-w", "-D", self.data, "promote")

    def keep(self, where: Path) -> None:
        """Keep a copy of its data, taken while it stands still."""
        self.stop("fast")
        shutil.copytree(self.data, where)
        self.start()

    def put_back(self, where: Path) -> None:
        """Start it from a copy of its data."""
        self.stop()
        shutil.rmtree(self.data)
        shutil.copytree(where, self.data)
        self.start()

    def do(self, *statements: str) -> None:
        """Have its superuser do this."""
        with psycopg.connect(f"postgresql://drill@{self.address}/postgres", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def _run(self, program: str, *arguments: object, fails: bool = False) -> None:
        argv = [*self._programs.prefix, str(self._programs.bindir / program), *map(str, arguments)]
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60, check=not fails)
