"""Heals from outside: another process undoes the fault of a drill that runs (`chaos drills heal --force`).

The drill must know, for what comes back now does not recover by itself. It is told at its desk, and marks the heal as
its own. One that does not answer finds word of it beside its desk when it concludes, and is never met.
"""

import contextlib
from pathlib import Path

from chaosdrills.errors import DrillError
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.files import write_json
from chaosdrills.host.processes import Identity, this_process
from chaosdrills.observe.desk import desks_dir, stem_of
from chaosdrills.observe.running import Running, running

TELL_S = 40.0  # a mark is on disk before it is answered


class Telling:
    """Tells the drills whose faults of `service` (empty: of any) are about to be healed; `mark` is a marker for
    `chaosdrills.faults.marking`. It never raises: a heal is done whether it can be told or not.
    """

    def __init__(self, service: str = "") -> None:
        self.lines: list[str] = []
        self._owners = {entry.owner for entry in outstanding(service)[0] if entry.held}
        self._drills = [drill for drill in running()[0] if drill.identity in self._owners]

    def mark(self, name: str, label: str, at_ns: int | None) -> None:
        """Tell all of them that a heal begins or has ended."""
        if name == "heal_begin":
            for owner in self._owners - {drill.identity for drill in self._drills}:
                _leave_word(owner, label)
        for drill in self._drills:
            self._tell(drill, name, label, at_ns)

    def _tell(self, drill: Running, name: str, label: str, at_ns: int | None) -> None:
        try:
            marked = drill.ask(TELL_S, do="mark", name=name, label=label, at_ns=at_ns)["marked"]
        except DrillError as error:
            _leave_word(drill.identity, label)
            self._say(f"The drill {drill.title!r} has no {name} mark of it, and is never met: {error.message}")
            return
        if name == "heal_begin":
            where = "is marked in the record" if marked else "comes after the record was closed"
            self._say(f"This heal {where} of the drill {drill.title!r}, which runs.")

    def _say(self, line: str) -> None:
        if line not in self.lines:
            self.lines.append(line)


def word_left() -> str:
    """Which heal from outside this process's drill was not told of; empty if none. Takes the word away."""
    path = _word(this_process())
    try:
        found = path.read_text()
        path.unlink()
    except OSError:
        return ""
    return found.strip().strip('"') or "a heal"


def _leave_word(owner: Identity, label: str) -> None:
    with contextlib.suppress(OSError, DrillError):
        write_json(_word(owner), label)


def _word(owner: Identity) -> Path:
    return desks_dir() / f"{stem_of(owner)}.healed"
