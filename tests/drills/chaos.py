"""Runs of `chaos`, each in a folder and a process group of its own, as on a terminal; and what they leave behind."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.cli.experiments import shipped
from chaosdrills.core.history import History
from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import identify, wait_until
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.running import running
from tests.drills.services import KAFKA, Service

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
USER = "somebody-real"
MARKER = "CHAOSDRILLS_TEST_RUN"
CHAOS = ("chaos", "--no-version-check", "--no-log-file", "run")

SHORT = {"stable_s": 1.5, "baseline_s": 2, "watch_s": 2}
WAIT = "wait until the service has recovered by itself"

Experiment = dict[str, Any]


def experiment(service: Service = KAFKA, **workload_arguments: Any) -> Experiment:
    """The main shipped drill of a service with short waits and little load; `workload_arguments` go over its own."""
    made: Experiment = json.loads(shipped()[service.main])
    arguments = control(made)
    arguments |= {"parameters": dict(SHORT), "rate_per_s": 80, "baseline_timeout_s": 120}
    arguments["workload_arguments"] |= workload_arguments
    action(made, WAIT)["provider"]["arguments"]["timeout_s"] = 60
    return made


def control(of: Experiment, name: str = "observe") -> dict[str, Any]:
    """The arguments of a control."""
    arguments: dict[str, Any] = next(it["provider"]["arguments"] for it in of["controls"] if it["name"] == name)
    return arguments


def action(of: Experiment, name: str) -> dict[str, Any]:
    """An activity of the method."""
    found: dict[str, Any] = next(it for it in of["method"] if it["name"] == name)
    return found


def foreign(func: str, name: str = "somebody else's fault", **more: Any) -> dict[str, Any]:
    """An action that knows nothing of drills: a function of `tests.drills.foreign`."""
    arguments = more.pop("arguments", {})
    provider = {"type": "python", "module": "tests.drills.foreign", "func": func, "arguments": arguments}
    return {"type": "action", "name": name, "provider": provider, **more}


def with_foreign_fault(
    func: str = "nothing", *later: dict[str, Any], service: Service = KAFKA, **more: Any
) -> Experiment:
    """The experiment with another extension's fault as the first action, and `later` ones after it."""
    made = experiment(service)
    made["method"] = [foreign(func, **more), *later]
    return made


def in_memory(described: Experiment, workload: str = "tests.observe.memory_workload:MemoryWorkload") -> Experiment:
    """The same on a service in memory: for what does not depend on the service."""
    control(described).update(service="memory", workload=workload, workload_arguments={})
    hypothesis = described["steady-state-hypothesis"]  # which asks for fresh data, and this service has no reader
    hypothesis["probes"] = [it for it in hypothesis["probes"] if it["provider"]["func"] != "freshness"]
    return described


@dataclass(frozen=True)
class Place:
    """Where runs happen: the lab's endpoint (empty: each has a lab of its own) and state, and a folder for each run.

    `way` is the environment that leads to the lab of `service`.
    """

    folder: Path
    endpoint: str
    state: Path
    runs: "list[Run]" = field(default_factory=list)
    service: Service = KAFKA
    way: Mapping[str, str] = field(default_factory=dict)

    def at(self, folder: Path) -> "Place":
        """The same lab, with another folder for runs."""
        return replace(self, folder=folder, runs=[])

    def start(self, described: Experiment, name: str = "run", *options: str, **settings: Any) -> "Run":
        """Start `chaos run` of an experiment in a new folder called `name`."""
        started = Run(self, self.folder / name, described, options, **settings)
        self.runs.append(started)
        return started

    def run(self, described: Experiment, name: str = "run", *options: str, **settings: Any) -> "Run":
        """Run it to its end."""
        started = self.start(described, name, *options, **settings)
        started.end()
        return started

    def start_beside(self, described: Experiment, name: str, *options: str, **settings: Any) -> "Run":
        """Start it with a state of its own, so that it may run beside others: the drills of one exclude each other."""
        settings["env"] = {"XDG_STATE_HOME": str(self.folder / f"state of {name}"), **settings.get("env", {})}
        return self.start(described, name, *options, **settings)

    def drills(
        self, *arguments: str, folder: Path | None = None, env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run `chaosdrills` with this place's state; `env` goes over its environment."""
        return subprocess.run(
            [PROGRAMS / "chaosdrills", *arguments],
            cwd=folder or self.folder, env=environment(self, self.folder, env or {}),
            capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip


class Run:
    """One `chaos run`, or what else `program` is. `status` is its exit status once it has ended."""

    def __init__(
        self,
        place: Place,
        folder: Path,
        described: Experiment,
        options: Iterable[str] = (),
        env: dict[str, str] | None = None,
        file_bytes: int | None = None,
        program: Iterable[str] = CHAOS,
    ) -> None:
        self.place = place
        self.folder = folder
        folder.mkdir(parents=True)
        self.env = environment(place, folder, env or {})
        (folder / "experiment.json").write_text(json.dumps(described))
        name, *rest = program
        argv = [PROGRAMS / name, *rest, *options, "experiment.json"]
        with open(folder / "output", "w") as output, open(folder / "log", "w") as log:
            self.process = subprocess.Popen(
                argv, cwd=folder, env=self.env, stdin=subprocess.DEVNULL,
                stdout=output, stderr=log, start_new_session=True, preexec_fn=_limiter(file_bytes),
            )  # fmt: skip

    @property
    def status(self) -> int | None:
        return self.process.poll()

    @property
    def log(self) -> str:
        """What the Chaos Toolkit logged."""
        return (self.folder / "log").read_text()

    @property
    def lines(self) -> list[str]:
        """What was printed."""
        return (self.folder / "output").read_text().splitlines()

    def line(self, name: str) -> str:
        """One of the last five lines, without its name."""
        return next(line.removeprefix(f"{name}: ") for line in self.lines if line.startswith(f"{name}: "))

    @property
    def journal(self) -> dict[str, Any]:
        """The Chaos Toolkit's own journal."""
        read: dict[str, Any] = json.loads((self.folder / "journal.json").read_text())
        return read

    @property
    def drill(self) -> Path:
        """The folder of the drill."""
        (found,) = (self.folder / "journals").iterdir()
        return found

    @property
    def summary(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.drill / "summary.json").read_text())
        return read

    @property
    def history(self) -> History:
        return read_record(self.drill / "record")

    def marks(self) -> list[str]:
        """The names of the marks in the record."""
        return [mark.name for mark in self.history.marks]

    def drills(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `chaosdrills` beside it, with its state, as from another terminal."""
        env = {**self.env, MARKER: "another terminal"}
        return subprocess.run(
            [PROGRAMS / "chaosdrills", *arguments], cwd=self.folder, env=env, capture_output=True, text=True,
            timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def told(self) -> dict[str, Any]:
        """What it tells at its desk; empty while there is none."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", self.env["XDG_STATE_HOME"])
            found = [one for one in running()[0] if one.identity.pid == self.process.pid]
            with contextlib.suppress(UnavailableError):
                return found[0].ask(do="status") if found else {}
        return {}

    def wait_phase(self, phase: str, timeout_s: float = 120) -> None:
        """Wait until it is in this phase."""
        there = wait_until(lambda: self.told().get("phase") == phase or self.status is not None, timeout_s, 0.05)
        assert there, f"not in {phase!r} within {timeout_s:g} s, but {self.told()}:\n{self.log}"
        assert self.status is None, f"ended without {phase!r}:\n{self.log}"

    def wait_for(self, text: str, timeout_s: float = 90) -> None:
        """Wait until the log says `text`."""
        there = wait_until(lambda: text in self.log or self.status is not None, timeout_s)
        assert there, f"no {text!r} within {timeout_s:g} s:\n{self.log}"
        assert text in self.log, f"ended without {text!r}:\n{self.log}"

    def wait_mark(self, name: str, timeout_s: float = 60) -> None:
        """Wait until the record holds the mark `name`."""

        def there() -> bool:
            with contextlib.suppress(Exception):  # a record that is just being made
                return name in self.marks()
            return False

        assert wait_until(there, timeout_s, 0.1), f"no mark {name} within {timeout_s:g} s:\n{self.log}"

    def interrupt(self) -> None:
        """Ctrl-C: SIGINT to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of `chaos` alone."""
        self.process.kill()
        self.process.wait(10)

    def observers(self) -> list[int]:
        """The pid of its observer, while there is one."""
        return [pid for pid in self.living() if "chaosdrills.observe.process" in _text(pid, "cmdline")]

    def end(self, timeout_s: float = 150) -> int:
        """Wait for its end; its exit status."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not over after {timeout_s:g} s:\n{self.log}") from None

    def living(self) -> list[int]:
        """Living processes that it started, itself included."""
        mark = f"{MARKER}={self.folder}\0"
        return [pid for pid in _pids() if mark in _text(pid, "environ") and identify(pid)]

    def end_all(self) -> None:
        """Whatever happened: leave nothing."""
        if self.status is None:
            self.kill()
        for pid in self.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def environment(place: Place, folder: Path, more: dict[str, str]) -> dict[str, str]:
    """The environment of a run: nothing of ours but the cache of the lab's jars."""
    home = place.folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(REPOSITORY),
        "XDG_STATE_HOME": str(place.state),
        "XDG_CACHE_HOME": CACHE,
        **({"KAFKA_BOOTSTRAP_SERVERS": place.endpoint} if place.endpoint and not place.way else place.way),
        MARKER: str(folder),
        **more,
    }


def _limiter(file_bytes: int | None) -> Callable[[], None] | None:
    """Bounds every file that a child writes, as a full disk would."""
    if file_bytes is None:
        return None
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except OSError:
        return ""
