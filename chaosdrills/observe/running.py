"""Drills that run on this machine, found by their desks (`chaosdrills.observe.desk`), and what they answer."""

import contextlib
import json
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.processes import Identity, is_alive
from chaosdrills.observe.channel import Channel, ChannelClosed, error_of
from chaosdrills.observe.desk import VERSION, desks_dir, short_address, stem_of

ANSWER_S = 10.0
_STEM = re.compile(r"(\d{1,10})-(\d{1,20})")


@dataclass(frozen=True)
class Running:
    """One drill that runs: the process of its `chaos`, and what its desk's file says."""

    identity: Identity
    drill_id: str
    title: str
    folder: Path
    started_at: str

    def ask(self, timeout_s: float = ANSWER_S, **request: Any) -> dict[str, Any]:
        """Its answer. Raises the `DrillError` that it answers, `UnavailableError` if it does not within `timeout_s`."""
        try:
            channel = Channel(_connected(self.identity))
        except OSError as error:
            raise self._silent(error.strerror or str(error)) from error
        try:
            channel.send(request)
            told = channel.receive(timeout_s)
        except ChannelClosed as error:
            raise self._silent(str(error)) from error
        finally:
            channel.close()
        if told is None:
            raise self._silent(f"nothing within {timeout_s:g} s")
        if "error" in told:
            raise error_of(told["error"])
        answer: dict[str, Any] = told["ok"]
        return answer

    def _silent(self, why: str) -> UnavailableError:
        if not is_alive(self.identity):
            return UnavailableError(f"the drill {self.title!r} has just ended.", "look at its report.")
        return UnavailableError(
            f"the drill {self.title!r} (process {self.identity.pid}) does not answer: {why}.",
            "look at its own terminal; it may be stopped.",
        )


@dataclass(frozen=True)
class Damaged:
    """A file among the desks that cannot be read: which, and why."""

    path: Path
    why: str


def running() -> tuple[list[Running], list[Damaged]]:
    """All drills that run, oldest first, and files that cannot be read. Removes what dead ones left behind."""
    found: list[Running] = []
    damaged: list[Damaged] = []
    for path in sorted(desks_dir().iterdir()):
        identity = _identity(path)
        if identity is None:
            if path.suffix in (".json", ".sock"):
                damaged.append(Damaged(path, "its name is not that of a process"))
        elif not is_alive(identity):
            with contextlib.suppress(OSError):
                path.unlink()
        elif path.suffix == ".json":
            try:
                found.append(_read(path, identity))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                damaged.append(Damaged(path, str(error) or type(error).__name__))
    return sorted(found, key=lambda one: one.started_at), damaged


def chosen(wanted: str = "") -> Running:
    """The drill that is `wanted`, by its id or its process; empty: the only one.

    Raises `UnavailableError` if none runs, `UsageError` if it is none of those that run, or if several do.
    """
    found, _ = running()
    if not found:
        raise UnavailableError("no drill runs.", "start one: chaos drills run EXPERIMENT.")
    named = [one for one in found if wanted in (one.drill_id, str(one.identity.pid))] if wanted else found
    if len(named) == 1:
        return named[0]
    those = ", ".join(f"{one.drill_id} ({one.title})" for one in found)
    if wanted:
        raise UsageError(f"no drill {wanted!r} runs, but {those}.", "name one of them.")
    raise UsageError(f"{len(found)} drills run: {those}.", "say which, by --drill ID.")


def _identity(path: Path) -> Identity | None:
    named = _STEM.fullmatch(path.stem)
    return None if named is None else Identity(int(named[1]), int(named[2]))


def _read(path: Path, identity: Identity) -> Running:
    """Raises `ValueError`, `KeyError` or `TypeError` if it is not what a desk writes."""
    data = json.loads(path.read_text())
    if data["version"] != VERSION:
        raise ValueError(f"its version is {data['version']!r}, this program knows {VERSION}")
    texts = [data[name] for name in ("drill_id", "title", "folder", "started_at")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is not a string")
    drill_id, title, folder, started_at = texts
    return Running(identity, drill_id, title, Path(folder), started_at)


def _connected(identity: Identity) -> socket.socket:
    path = desks_dir() / f"{stem_of(identity)}.sock"
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(short_address(path, directory))
    except BaseException:
        made.close()
        raise
    finally:
        os.close(directory)
    return made
