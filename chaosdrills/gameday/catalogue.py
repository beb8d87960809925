"""The experiments there are: those that travel with the package, and those of a folder.

What an experiment hits, how long it takes and what it needs stand in itself, in the Chaos Toolkit's own block of
extensions; all of it may be missing::

    "extensions": [{"name": "chaosdrills", "hits": "the leader of the drill's first partition, kill -9", "minutes": 2,
                    "needs": ["the lab, or KAFKA_BOOTSTRAP_SERVERS"]}]
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from chaosdrills.core.strict import loads
from chaosdrills.errors import UsageError
from chaosdrills.observe.folder import slug_of

EXTENSION = "chaosdrills"
OBSERVE = "chaosdrills.observe.control"


@dataclass(frozen=True)
class Entry:
    """One experiment. `path` is its file, empty if it is in the package only; `run_slug` is what its runs are called.

    `hits` is empty, `minutes` None and `needs` empty where the experiment does not say. `expected` is the verdict with
    which it is known to end on the lab, empty where it does not say.
    """

    name: str
    path: str
    shipped: bool
    title: str
    hits: str
    minutes: float | None
    needs: tuple[str, ...]
    run_slug: str
    expected: str = ""


@dataclass(frozen=True)
class Broken:
    """A file that holds no experiment, and why."""

    path: str
    why: str


def shipped() -> dict[str, bytes]:
    """The experiments that travel with the package: file name to content."""
    folder = resources.files("chaosdrills").joinpath("experiments")
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".json")}


def catalogue(folder: Path | None) -> tuple[list[Entry], list[Broken]]:
    """Every experiment in `folder` and every shipped one that is not there too, by name; and the files that are none.

    Raises `UsageError` if there is such a folder and it cannot be read.
    """
    own = shipped()
    paths = [] if folder is None else _files(folder)
    there = [_entry(path.name, _content(path), str(path), own) for path in paths]
    names = {path.name for path in paths}
    found = there + [_entry(name, content, "", own) for name, content in own.items() if name not in names]
    entries = sorted((one for one in found if isinstance(one, Entry)), key=lambda entry: entry.name)
    return entries, [one for one in found if isinstance(one, Broken)]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as error:
        raise UsageError(f"cannot read {folder}: {error.strerror}.", "name a folder of experiments.") from error


def _content(path: Path) -> bytes | OSError:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


def _entry(name: str, content: bytes | OSError, path: str, own: Mapping[str, bytes]) -> Entry | Broken:
    """What the file `name` with that content is; `own` are the shipped ones."""
    if isinstance(content, OSError):
        return Broken(path or name, f"it cannot be read: {content.strerror}")
    try:
        experiment = loads(content)
    except ValueError as error:
        return Broken(path or name, f"it is not JSON: {error}")
    title = experiment.get("title") if isinstance(experiment, dict) else None
    if not isinstance(title, str) or not title or not isinstance(experiment.get("method"), list):
        return Broken(path or name, "it is no experiment: it has no title or no method")
    said = _extension(experiment)
    minutes = said.get("minutes")
    return Entry(
        name=name.removesuffix(".json"),
        path=path,
        shipped=own.get(name) == content,
        title=title,
        hits=_text(said.get("hits")) or _first_action(experiment),
        minutes=minutes if isinstance(minutes, int | float) and not isinstance(minutes, bool) else None,
        needs=tuple(need for need in _list(said.get("needs")) if isinstance(need, str)),
        run_slug=slug_of(_text(_observed(experiment).get("name")) or title),
        expected=_text(said.get("expected")),
    )


def _extension(experiment: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our own block of the experiment's extensions; empty if it has none."""
    return _first(block for block in _objects(experiment.get("extensions")) if block.get("name") == EXTENSION)


def _observed(experiment: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of the observe control; empty if there are none."""
    providers = (_object(control.get("provider")) for control in _objects(experiment.get("controls")))
    return _object(_first(one for one in providers if one.get("module") == OBSERVE).get("arguments"))


def _first_action(experiment: Mapping[str, Any]) -> str:
    """The name of the method's first action: what an experiment hits, if it does not say it itself."""
    return _text(_first(one for one in _objects(experiment.get("method")) if one.get("type") == "action").get("name"))


def _first(objects: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    return next(iter(objects), {})


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in _list(value) if isinstance(one, Mapping)]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
