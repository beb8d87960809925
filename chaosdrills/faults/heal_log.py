"""The heal log: what was done to services and is not undone yet, on disk before it is done.

One file for each fault, `$XDG_STATE_HOME/chaosdrills/heal/<id>.json`; `<id>` begins with the UTC time, so that names
sort by age. An entry is whole and synced before the deed and removed when it is healed: what is there after a crash is
what may still be broken. Format (version 1), all keys required::

    {"version": 1, "id": "20261123T080000123456Z-kafka-kill-3fa2b1", "fault": "kill", "service": "kafka",
     "target": {"label": "broker 2 (leader of t/0)", "role": "leader", "handle": {...}},
     "began_at": "2026-11-23T08:00:00.123456+00:00", "boot_id": "<kernel's boot id>",
     "owner": {"pid": 1, "start_ticks": 2}, "drill": "kafka-broker-loss"}

`owner` is the process that injected it. `boot_id` tells entries of before a restart of this machine, which undid every
fault on its processes, and none that a command did elsewhere. `drill` may be empty.
"""

import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaosdrills.core.strict import loads
from chaosdrills.errors import InternalError, UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.host.files import sync_directory, write_json
from chaosdrills.host.paths import state_dir
from chaosdrills.host.processes import Identity, identify, is_alive

VERSION = 1

under_way: set[str] = set()
"""Ids of entries whose faults this process is injecting now: what needs no heal yet may need one in a moment."""


@dataclass(frozen=True)
class Entry:
    """One fault that is about to be, or was, injected and is not healed."""

    id: str
    fault: str
    target: Target
    began_at: str
    boot_id: str
    owner: Identity
    drill: str

    @property
    def mine(self) -> bool:
        """Whether this process injected it."""
        return self.owner == identify(os.getpid())

    @property
    def settled(self) -> bool:
        """Whether its fault was done, or never will be: one that is not may still hit what looks healthy now."""
        return self.id not in under_way and not self.held

    @property
    def before_boot(self) -> bool:
        """Whether this machine was started anew since."""
        return self.boot_id != boot_id()

    @property
    def held(self) -> bool:
        """Whether another process injected it and still runs."""
        return not self.mine and not self.before_boot and is_alive(self.owner)


@dataclass(frozen=True)
class Damaged:
    """An entry that cannot be read: which file, and why."""

    path: Path
    why: str


def plan(fault: str, target: Target, drill: str = "") -> Entry:
    """Write down that `fault` is about to hit `target`; on disk when this returns.

    Raises `UnavailableError` if it cannot be written: then nothing may be injected.
    """
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S%fZ}-{target.service}-{fault}-{secrets.token_hex(3)}"
    owner = identify(os.getpid())
    if owner is None:
        raise InternalError("this process is not in /proc.", "run on Linux with /proc mounted.")
    entry = Entry(name, fault, target, now.isoformat(), boot_id(), owner, drill)
    try:
        write_json(path_of(entry.id), _as_json(entry))
    except OSError as error:
        raise UnavailableError(
            f"cannot write the heal log {path_of(entry.id)}: {error.strerror}; nothing was injected.",
            "make room on that disk, or set XDG_STATE_HOME to another folder.",
        ) from error
    return entry


def remove(entry: Entry) -> None:
    """Forget a healed entry; none there is fine (another process was faster)."""
    path_of(entry.id).unlink(missing_ok=True)
    sync_directory(_folder())


def outstanding(service: str = "") -> tuple[list[Entry], list[Damaged]]:
    """All entries of `service` (empty: of any), oldest first, and the files that cannot be read."""
    entries: list[Entry] = []
    damaged: list[Damaged] = []
    for path in sorted(_folder().glob("[!.]*.json")):
        try:
            entry = _read(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            damaged.append(Damaged(path, _reason(error)))
            continue
        if service in ("", entry.target.service):
            entries.append(entry)
    return entries, damaged


def boot_id() -> str:
    """The kernel's random id of this boot (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _folder() -> Path:
    return state_dir("heal")


def path_of(name: str) -> Path:
    """The file of the entry `name`."""
    return _folder() / f"{name}.json"


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "version": VERSION,
        "id": entry.id,
        "fault": entry.fault,
        "service": entry.target.service,
        "target": {"label": entry.target.label, "role": entry.target.role, "handle": entry.target.handle},
        "began_at": entry.began_at,
        "boot_id": entry.boot_id,
        "owner": {"pid": entry.owner.pid, "start_ticks": entry.owner.start_ticks},
        "drill": entry.drill,
    }


def _read(path: Path) -> Entry:
    """One entry. Raises `ValueError`, `KeyError` or `TypeError` if it is not what `plan` writes."""
    data = loads(path.read_bytes())
    if data["version"] != VERSION:
        raise ValueError(f"its version is {data['version']!r}, this program knows {VERSION}")
    target, owner = data["target"], data["owner"]
    texts = (data["id"], data["fault"], data["service"], data["began_at"], data["boot_id"], data["drill"])
    if not all(isinstance(text, str) for text in (*texts, target["label"], target["role"])):
        raise ValueError("a text is not a string")
    if not re.fullmatch("[a-z0-9_-]+", data["service"]):
        raise ValueError("its service is no name of one")  # which is part of a path, too
    if not all(type(owner[name]) is int for name in ("pid", "start_ticks")):
        raise ValueError("its owner is no process")
    if data["id"] != path.stem or not isinstance(target["handle"], dict):
        raise ValueError("its id is not its file's name, or its target has no handle")
    return Entry(
        data["id"],
        data["fault"],
        Target(data["service"], target["label"], target["role"], target["handle"]),
        data["began_at"],
        data["boot_id"],
        Identity(owner["pid"], owner["start_ticks"]),
        data["drill"],
    )


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return str(error) or type(error).__name__
