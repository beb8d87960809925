"""Shipped experiments, run as a user runs them: what the tests of every service have in common.

With ``CHAOSDRILLS_FULL=1`` (`make drills`) each runs as it is shipped, on a lab that it starts itself. Otherwise they
have short waits, and labs shared by all that ask for the same options. At the end it is printed what all measured.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.cli.experiments import shipped
from chaosdrills.core.history import Outcome
from chaosdrills.faults.heal_log import outstanding
from tests.drills.chaos import Experiment, Place, Run, control

FULL = os.environ.get("CHAOSDRILLS_FULL") == "1"
RUN_S = 400
RunIt = Callable[[str], Run]
Reached = tuple[str, dict[str, str]]  # a lab's endpoint, and the environment that leads to it
COLUMNS = {"rto": "RTO, s", "freshness": "fresh, s", "max_unavailable_s": "users, s"}


def experiments_of(service: str) -> dict[str, Experiment]:
    """Its shipped experiments, by name."""
    found = {name[:-5]: json.loads(content) for name, content in sorted(shipped().items())}
    return {name: described for name, described in found.items() if name.startswith(f"{service}-")}


def about(described: Experiment) -> dict[str, Any]:
    """What an experiment says of itself."""
    found: dict[str, Any] = next(one for one in described["extensions"] if one["name"] == "chaosdrills")
    return found


class Labs:
    """A lab for a set of options, made by `start`, with that state and those options: one at a time.

    One that nobody asks for would cost processor time all the same: tests that ask for the same follow one another.
    """

    def __init__(self, folder: Path, start: Callable[[dict[str, Any]], Reached]) -> None:
        self.done: list[Run] = []
        self._folder = folder
        self._start = start
        self._places: dict[str, Place] = {}
        self._numbers = itertools.count()
        self._ways: dict[Path, dict[str, str]] = {}

    def place(self, described: Experiment) -> Place:
        """Where this experiment runs."""
        options = control(described, "lab").get("options", {})
        key = json.dumps(options, sort_keys=True)
        if key not in self._places:
            self._end_those_there_are()
            folder = self._folder / f"lab-{next(self._numbers)}"
            folder.mkdir()
            endpoint, self._ways[folder] = ("", {}) if FULL else self._started(folder / "state", options)
            self._places[key] = Place(folder, endpoint, folder / "state")
        return self._places[key]

    def way(self, place: Place) -> dict[str, str]:
        """The environment that leads to the lab of a place; nothing where a run has a lab of its own."""
        return self._ways[place.folder]

    def end(self) -> None:
        """End them all, and print what was measured."""
        self._end_those_there_are()
        print(*table([run for run in self.done if (run.folder / "journals").is_dir()]), sep="\n")  # noqa: T201

    def _end_those_there_are(self) -> None:
        for place in self._places.values():
            ended = place.drills("lab", "down", "--force")  # it is this process's, which is no drill
            assert ended.returncode == 0, ended.stderr
        self._places.clear()

    def _started(self, state: Path, options: dict[str, Any]) -> Reached:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(state))
            return self._start(options)


@contextmanager
def running(
    labs: Labs, experiments: dict[str, Experiment], prepare: Callable[[str, Experiment], None]
) -> Iterator[RunIt]:
    """Runs experiments to their end, each changed by `prepare`; afterwards nothing of them may be left."""
    runs: list[Run] = []

    def to_its_end(name: str) -> Run:
        described: Experiment = json.loads(json.dumps(experiments[name]))
        place = labs.place(described)
        patch.setenv("XDG_STATE_HOME", str(place.state))
        prepare(name, described)
        runs.append(place.start(described, name, env=labs.way(place)))
        runs[-1].end(RUN_S)
        labs.done.append(runs[-1])
        return runs[-1]

    with pytest.MonkeyPatch.context() as patch:
        yield to_its_end
        try:
            for each in runs:
                assert outstanding() == ([], []), "faults were left unhealed"
                assert each.living() == []
        finally:
            for each in runs:
                each.end_all()
                each.place.drills("heal", "--force")


def table(runs: Sequence[Run]) -> Iterator[str]:
    """What all runs measured, for the one who ran them."""
    shown = "".join(f"{title:>10}" for title in COLUMNS.values())
    yield f"\n{'experiment':<36}{'verdict':<9}{shown}{'within, s':>11}{'lost':>7}{'took, s':>9}"
    for each in runs:
        objectives = {one["name"]: one for one in each.summary["objectives"]}
        figures = "".join(f"{_shown(objectives.get(name, {}).get('actual')):>10}" for name in COLUMNS)
        rto, verdict, phases = objectives["rto"], each.summary["verdict"], each.summary["phases"]
        within = None if rto["actual"] is None or rto["judged"] is None else rto["judged"] - rto["actual"]
        lost, took = (each.summary["loss"] or {}).get("lost"), phases[-1]["end"] - phases[0]["begin"]
        tail = f"{_shown(within):>11}{'-' if lost is None else lost:>7}{took:>9.1f}"
        yield f"{each.folder.name:<36}{verdict:<9}{figures}{tail}"


def actual(described: Run, objective: str = "rto") -> float:
    """What was measured."""
    found: float = next(one["actual"] for one in described.summary["objectives"] if one["name"] == objective)
    return found


def mark_ns(described: Run, name: str, which: int = 0) -> int:
    """The instant of a mark."""
    return described.history.marks_named(name)[which]


def acks_between(described: Run, begin_ns: int, end_ns: int) -> int:
    """How many writes were acknowledged in this span."""
    writes = described.history.writes
    inside = (writes.completed_ns > begin_ns) & (writes.completed_ns < end_ns)
    return int(((writes.outcome == Outcome.OK) & inside).sum())


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3f}"
