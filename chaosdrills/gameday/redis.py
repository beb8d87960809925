"""Checks of what drills on Redis need: the driver, and for the lab a server program, and ports.

What is missing here is a warning, as it is for PostgreSQL.
"""

import os

from chaosdrills.errors import DrillError
from chaosdrills.feast import environment
from chaosdrills.gameday.checkup import Finding, lacking
from chaosdrills.gameday.serving import ports_of
from chaosdrills.lab import redis as lab
from chaosdrills.lab import redis_programs as programs
from chaosdrills.lab.progress import quiet


def driver() -> Finding:
    """Redis's driver can be loaded, which its being installed does not prove."""
    try:
        from chaosdrills.redis import client
    except DrillError as error:
        return lacking("redis driver", error)
    shown = ", ".join(f"{name} {version}" for name, version in client.versions().items())
    return Finding("redis driver", "ok", shown)


def server() -> Finding:
    """The server program runs: that of the wheel, or the one that the environment names."""
    try:
        found = programs.find_program()
    except DrillError as error:
        return lacking("redis server", error)
    named = f" ({programs.SERVER})" if os.environ.get(programs.SERVER) else ""
    return Finding("redis server", "ok", f"{found.flavour} {found.version}, {found.path}{named}")


def feast() -> Finding:
    """The environment of Feast's own is there, for a lab with a feature server."""
    named = os.environ.get(environment.VARIABLE)
    try:
        if named:
            found = environment.find_environment(quiet)
            return Finding("feast", "ok", f"{found.version}, {found.python} ({environment.VARIABLE})")
    except DrillError as error:
        return lacking("feast", error)
    if environment.is_made():
        return Finding("feast", "ok", "an environment of its own is there")
    detail = "no environment of its own is made yet: the first lab with a feature server takes some minutes more"
    return Finding("feast", "warn", detail, "run 'chaos drills lab prepare feast' once, with a network.")


def ports(base_port: int = lab.BASE_PORT) -> Finding:
    """A lab runs, or its ports are free."""
    return ports_of("redis ports", lab.SERVICE, lab.ports_of(base_port), "warn")
