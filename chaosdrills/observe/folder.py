"""The folder of one run, `journals/<utc>-<experiment>/`: where all its evidence lies."""

import os
import platform
import re
import socket
import sys
import sysconfig
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaosdrills.errors import UnavailableError

EVIDENCE = ("journal.json", "record", "summary.json", "report.md", "report.html", "observer.log")


def make_folder(journals: Path, name: str, now: datetime | None = None) -> Path:
    """Make the folder of a run that begins `now`. Raises `UnavailableError` if it cannot be made."""
    utc = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "drill"
    for again in range(1, 1000):
        folder = journals / (f"{utc}-{slug}" if again == 1 else f"{utc}-{slug}-{again}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UnavailableError(
                f"cannot make the folder {folder}: {error.strerror}.", "run from a folder that you may write to."
            ) from error
        return folder
    raise UnavailableError(f"cannot make a folder for this run in {journals}.", "remove old runs.")


def shown(folder: Path) -> str:
    """The folder as a user reads it: relative to where they are, if it lies below."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(folder)


def without_names(value: Any) -> Any:
    """`value` (JSON) without absolute paths of this machine, its host name and its user's name."""
    replacements = _replacements()
    return _scrub(value, replacements)


def _scrub(value: Any, replacements: list[tuple[re.Pattern[str], str]]) -> Any:
    if isinstance(value, str):
        for pattern, replacement in replacements:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {_scrub(key, replacements): _scrub(one, replacements) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(one, replacements) for one in value]
    return value


def _replacements() -> list[tuple[re.Pattern[str], str]]:
    """Longest paths first; names of host and user only as whole words."""
    package = Path(__file__).resolve().parents[1]
    folders = {
        sysconfig.get_path("purelib"): "site-packages",
        sysconfig.get_path("stdlib"): "python",
        str(package): "chaosdrills",
        sys.prefix: "venv",
        sys.base_prefix: "python",
        str(Path.cwd()): ".",
        str(Path.home()): "~",
    }
    ordered = sorted(folders.items(), key=lambda item: -len(item[0]))
    found = [(re.compile(re.escape(path)), name) for path, name in ordered if len(path) > 1]
    words = {socket.gethostname(): "host", platform.node(): "host", os.environ.get("USER", ""): "user"}
    found += [(re.compile(rf"\b{re.escape(word)}\b"), name) for word, name in words.items() if len(word) > 3]
    return found
