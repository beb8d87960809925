"""Checks of what drills on PostgreSQL need: the driver, and for the lab its programs, a user for root, and ports.

What is missing here is a warning: drills of other services run without it, and those on a cluster of the user's own
need only the driver.
"""

import os
import shutil

from chaosdrills.errors import DrillError
from chaosdrills.gameday.checkup import Finding, lacking
from chaosdrills.gameday.serving import ports_of
from chaosdrills.lab import postgresql_programs as programs
from chaosdrills.lab import timescaledb as lab
from chaosdrills.lab.packages import INSTALL

OWN = f"to have hypertables, name the programs of a PostgreSQL that has it in {programs.BINDIR}."


def driver() -> Finding:
    """PostgreSQL's driver can be loaded, which its being installed does not prove."""
    try:
        from chaosdrills.timescaledb import client
    except DrillError as error:
        return lacking("postgresql driver", error)
    shown = ", ".join(f"{name} {version}" for name, version in client.versions().items())
    return Finding("postgresql driver", "ok", shown)


def server() -> Finding:
    """The server programs are there: those of the wheel, or of the folder that the environment names."""
    try:
        bindir = programs.find_bindir()
    except DrillError as error:
        return lacking("postgresql", error)
    version = programs.version_of(bindir)
    if not version:
        return Finding("postgresql", "warn", f"{bindir / 'postgres'} does not say its version", INSTALL)
    named = f" ({programs.BINDIR})" if os.environ.get(programs.BINDIR) else ""
    return Finding("postgresql", "ok", f"{version} in {bindir}{named}")


def timescaledb() -> Finding:
    """This PostgreSQL has the extension TimescaleDB."""
    try:
        version = programs.timescaledb_of(programs.find_bindir())
    except DrillError as error:
        return Finding("timescaledb", "warn", "not looked for", error.hint)
    if not version:
        return Finding("timescaledb", "warn", "not in this PostgreSQL: the ledger is a plain table", OWN)
    return Finding("timescaledb", "ok", version)


def etcd() -> Finding:
    """The program etcd is there."""
    try:
        return Finding("etcd", "ok", str(programs.find_etcd()))
    except DrillError as error:
        return lacking("etcd", error)


def patroni() -> list[Finding]:
    """Patroni is there, and what the lab's application needs."""
    return [_package(module) for module in programs.PACKAGES]


def user() -> Finding:
    """PostgreSQL does not run as root: for root there can be a user namespace."""
    try:
        prefix = programs.find_prefix()
    except DrillError as error:
        return lacking("postgresql user", error)
    return Finding("postgresql user", "ok", "root, in a user namespace" if prefix else "this one")


def ports(base_port: int = lab.BASE_PORT) -> Finding:
    """A lab runs, or its ports are free."""
    return ports_of("postgresql ports", lab.SERVICE, lab.ports_of(base_port), "warn")


def pooler() -> Finding:
    """There is a pgbouncer, which one test of ours puts before the servers; drills need none."""
    found = shutil.which("pgbouncer")
    if found:
        return Finding("pgbouncer", "ok", found)
    return Finding("pgbouncer", "warn", "not on the PATH: its test is skipped, drills need none", _POOLER)


_POOLER = "nothing, unless you run this project's tests: then install pgbouncer."


def _package(module: str) -> Finding:
    try:
        programs.require_package(module)
    except DrillError as error:
        return lacking(module, error)
    return Finding(module, "ok", "installed")
