"""The folder of one run, `journals/<utc>-<experiment>/`: where all its evidence lies."""

import logging
import os
import platform
import re
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaosdrills.errors import UnavailableError
from chaosdrills.host.files import write_atomic
from chaosdrills.observe.session import LOG

logger = logging.getLogger(__name__)

GENERIC = frozenset({"root", "user", "admin", "home", "localhost", "host", "container", "runner"})
# Values that programs read, from a closed set of words: a host that is called "met" must not change a verdict.
CLOSED = frozenset(
    {
        "verdict",
        "name",
        "kind",
        "service",
        "unit",
        "status",
        "type",
        "evidence",
        "recovery",
        "stream_kind",
        "client",
        "acks",
    }
)
EVIDENCE = ("journal.json", "record", "summary.json", "report.md", "report.html", LOG)


JOURNALS = "CHAOSDRILLS_JOURNALS"


def journals_dir(given: str, environment: Mapping[str, str]) -> Path:
    """Where runs get their folders: what the environment says goes over what the experiment says."""
    return Path(environment.get(JOURNALS) or given)


def make_folder(journals: Path, name: str, now: datetime | None = None) -> Path:
    """Make the folder of a run that begins `now`. Raises `UnavailableError` if it cannot be made."""
    utc = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    slug = slug_of(name)
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


def slug_of(name: str) -> str:
    """What the runs of the experiment `name` are called, after their instant."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "drill"


def shown(folder: Path) -> str:
    """The folder as a user reads it: relative to where they are, if it lies below."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(folder)


def without_names(value: Any, words: str = "") -> Any:
    """`value` (JSON) without absolute paths of this machine, its host name and its user's name.

    Keys stay as they are, and so do names under the keys `CLOSED`. A name that stands in `words`, the drill's own text,
    is no secret: a user called kafka must not rename Kafka.
    """
    return _scrub(value, _paths(), [(word, name) for word, name in _names() if not word.search(words)])


def scrub_log(folder: Path, words: str) -> None:
    """Take the same names out of the observer's log, once it has ended; a log that cannot be written stays."""
    path = folder / LOG
    try:
        text = path.read_text(errors="replace")
        cleaned = without_names(text, words)
        if cleaned != text:
            write_atomic(path, cleaned.encode())
    except OSError as error:
        logger.debug("the observer's log was not cleaned: %s", error)


Replacements = list[tuple[re.Pattern[str], str]]


def _scrub(value: Any, paths: Replacements, names: Replacements) -> Any:
    if isinstance(value, str):
        for pattern, replacement in (*paths, *names):
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {key: _scrub(one, paths, [] if key in CLOSED else names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(one, paths, names) for one in value]
    return value


def _paths() -> Replacements:
    """The folders of this machine and what stands for them, longest first."""
    folders = {
        sysconfig.get_path("purelib"): "site-packages",
        sysconfig.get_path("stdlib"): "python",
        str(Path(__file__).resolve().parents[1]): "chaosdrills",
        sys.prefix: "venv",
        sys.base_prefix: "python",
        os.environ.get("XDG_STATE_HOME", ""): "state",
        os.environ.get("XDG_CACHE_HOME", ""): "cache",
        tempfile.gettempdir(): "tmp",
        str(Path.cwd()): ".",
        str(Path.home()): "~",
    }
    ordered = sorted(folders.items(), key=lambda item: -len(item[0]))
    return [(_whole(path, "/."), name) for path, name in ordered if len(path) > 1]


def _names() -> Replacements:
    """The names of host and user; generic ones ("root") tell nothing and stay."""
    users = {os.environ.get("USER", ""), os.environ.get("LOGNAME", ""), Path.home().name}
    names = dict.fromkeys(users, "user") | dict.fromkeys((socket.gethostname(), platform.node()), "host")
    return [(_whole(word), name) for word, name in names.items() if len(word) > 2 and word not in GENERIC]


def _whole(text: str, not_after: str = "") -> re.Pattern[str]:
    """`text` where it is not a part of a longer word."""
    return re.compile(rf"(?<![\w{re.escape(not_after)}-]){re.escape(text)}(?![\w-])")
