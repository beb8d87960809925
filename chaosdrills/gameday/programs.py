"""Checks of what is installed: Python, its environment, the programs, and the packages of each extra."""

import os
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

from chaosdrills.errors import DrillError
from chaosdrills.gameday.checkup import Finding

DISTRIBUTION = "chaosdrills"
MINIMUM = (3, 11)
SCRIPTS = ("chaosdrills", "chaos")
NEEDED = ("chaos", "kafka")  # extras without which no drill of any service that we have runs
ALL = "run pip install 'chaosdrills[all]' in this environment."
_REQUIREMENT = re.compile(r"""([A-Za-z0-9._-]+).*;\s*extra\s*==\s*["']([a-z]+)["']""")


def python() -> Finding:
    """Python is new enough."""
    shown = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < MINIMUM:
        return Finding("python", "fail", f"{shown} is too old", "use Python 3.11 or newer.")
    return Finding("python", "ok", f"{shown}, {sys.executable}")


def environment() -> Finding:
    """We run in a virtual environment."""
    if sys.prefix != sys.base_prefix:
        return Finding("virtual environment", "ok", sys.prefix)
    return Finding(
        "virtual environment",
        "warn",
        "none: packages go into Python's own folders",
        "run python3 -m venv .venv && . .venv/bin/activate, and install there.",
    )


def scripts() -> Finding:
    """The programs of this environment are there, and are those that the shell finds."""
    here = Path(sys.executable).parent
    missing = [name for name in SCRIPTS if not os.access(here / name, os.X_OK)]
    if missing:
        return Finding("programs", "fail", f"{here} has no {' and no '.join(missing)}", ALL)
    others = [name for name in SCRIPTS if not _is_found(name, here)]
    if others:
        return Finding(
            "programs", "warn", f"the shell does not find {' and '.join(others)} of {here}", f". {here}/activate"
        )
    return Finding("programs", "ok", f"{' and '.join(SCRIPTS)} in {here}")


def packages() -> list[Finding]:
    """The packages of each extra that drills run with are installed."""
    wanted: dict[str, list[str]] = {}
    for requirement in metadata.requires(DISTRIBUTION) or []:
        match = _REQUIREMENT.fullmatch(requirement)
        if match and match[2] not in ("all", "dev"):
            wanted.setdefault(match[2], []).append(match[1])
    return [_extra(extra, names) for extra, names in wanted.items()]


def kafka_driver() -> Finding:
    """Kafka's driver can be loaded, which its being installed does not prove."""
    try:
        from chaosdrills.kafka import client
    except DrillError as error:
        return Finding("kafka driver", "fail", error.message.rstrip("."), error.hint)
    shown = ", ".join(f"{name} {version}" for name, version in client.versions().items())
    return Finding("kafka driver", "ok", shown)


def _extra(extra: str, names: list[str]) -> Finding:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if not missing:
        return Finding(f"extra {extra}", "ok", ", ".join(found))
    state = "fail" if extra in NEEDED else "warn"
    fix = f"run pip install '{DISTRIBUTION}[{extra}]' in this environment."
    return Finding(f"extra {extra}", state, f"{', '.join(missing)} not installed", fix)  # type: ignore[arg-type]


def _is_found(name: str, here: Path) -> bool:
    found = shutil.which(name)
    return found is not None and Path(found).resolve() == (here / name).resolve()
