"""One `chaos run` as a child of this process: same terminal, same process group, its outcome by its verdict.

Shared by `run` and `repeat`.
"""

import difflib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from chaosdrills.cli.guard import STATUS_OF_VERDICT
from chaosdrills.core.series import Run, run_of
from chaosdrills.errors import INTERRUPTED, InternalError, UnavailableError, UsageError
from chaosdrills.observe.folder import JOURNALS
from chaosdrills.observe.hold import HOLD, TIMEOUT
from chaosdrills.observe.outcome import OUTCOME
from chaosdrills.preview.variables import require_json

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Wish:
    """What to run and how; None leaves it to the experiment and the environment."""

    experiment: str
    variables: tuple[str, ...] = ()
    hold: bool = False
    hold_timeout_s: float | None = None
    journals: Path | None = None

    def argv(self) -> list[str]:
        """The command line of `chaos`."""
        variables = [part for variable in self.variables for part in ("--var", variable)]
        return [
            sys.executable,
            "-P",
            "-m",
            "chaostoolkit",
            "--no-version-check",
            "run",
            *variables,
            "--",
            self.experiment,
        ]

    def environment(self) -> dict[str, str]:
        """What goes over the environment."""
        more = {HOLD: "1"} if self.hold else {}
        more |= {} if self.hold_timeout_s is None else {TIMEOUT: str(self.hold_timeout_s)}
        return more | ({} if self.journals is None else {JOURNALS: str(self.journals.resolve())})


@dataclass(frozen=True)
class Ended:
    """How a run ended. `summary` is None if it was not concluded, `folder` if none was made.

    `rto_at_least_s` is a lower bound where recovery was not measured. `unwanted`: somebody has asked for its end, by
    Ctrl-C, a signal or an abort, or an abort condition has: no other run may follow, however far this one came.
    """

    summary: dict[str, Any] | None = None
    folder: Path | None = None
    interrupted: bool = False
    rto_at_least_s: float | None = None
    unwanted: bool = False

    @property
    def run(self) -> Run:
        """What counts of it."""
        return run_of(self.summary, self.rto_at_least_s)

    @property
    def status(self) -> int:
        """The exit status of the house."""
        return INTERRUPTED if self.interrupted else STATUS_OF_VERDICT[self.run.verdict]


def run_chaos(wish: Wish, quiet: bool = False) -> Ended:
    """Run it to its end, whatever signals come; `quiet` sends its last lines to standard error.

    Raises `UsageError` if it was no drill that could be run, `UnavailableError` without the Chaos Toolkit, and
    `InternalError` if `chaos` itself was killed.
    """
    if importlib.util.find_spec("chaostoolkit") is None:
        raise UnavailableError("the Chaos Toolkit is not installed.", "run pip install 'chaosdrills[chaos]'.")
    _require_writable()
    _refuse_unknown(wish)
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as folder, _passing_on() as child:
        path = Path(folder) / "outcome.json"
        environment = {**os.environ, **wish.environment(), OUTCOME: str(path)}
        child.process = subprocess.Popen(wish.argv(), env=environment, stdout=sys.stderr if quiet else None)
        if child.interrupted:  # before there was anybody to pass it on to
            child.process.terminate()
        status = child.process.wait()
        told = _told(path)
    return _ended(status, told, child.interrupted, wish)


def _require_writable() -> None:
    """Raise unless `chaos` can write here: it leaves journal.json and its log where it is started, or a traceback."""
    if not os.access(".", os.W_OK | os.X_OK):
        raise UnavailableError(
            "nothing can be written into this folder, where chaos leaves its log and journal.json.",
            "run it from another folder; --journals says where the drill's own goes.",
        )


def _refuse_unknown(wish: Wish) -> None:
    """Raise `UsageError` for a variable that the experiment does not have: chaos takes it, and nothing would change.

    So for one of the environment that is no JSON where it must be: chaos ends with a traceback. What is no file, or is
    none of JSON, is left to chaos.
    """
    try:
        found = json.loads(Path(wish.experiment).read_bytes())
        known = [*found.get("configuration", {}), *found.get("secrets", {})]
        given = {variable.partition("=")[0].partition(":")[0] for variable in wish.variables}
        require_json({name: it for name, it in found.get("configuration", {}).items() if name not in given})
    except (OSError, ValueError, AttributeError, TypeError):
        return
    for name in sorted(given):
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known) or 'none'}."
            raise UsageError(f"{wish.experiment} has no {name} in its configuration.", hint)


@dataclass
class _Child:
    process: "subprocess.Popen[bytes] | None" = None
    interrupted: bool = False


@contextmanager
def _passing_on() -> Iterator[_Child]:
    """Outlive the child, and pass signals on. A terminal sends Ctrl-C to both; the child takes two at once for one."""
    child = _Child()

    def handle(number: int, frame: FrameType | None) -> None:
        child.interrupted = True
        if child.process is not None:
            child.process.send_signal(number)

    passed = [number for number in PASSED_ON if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in passed}
    try:
        yield child
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(path: Path) -> Mapping[str, Any] | None:
    """What the run handed over; None if nothing."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _ended(status: int, told: Mapping[str, Any] | None, interrupted: bool, wish: Wish) -> Ended:
    if status < 0 and not interrupted:
        raise InternalError(f"chaos was ended by signal {-status}.", "run 'chaos drills heal', and look at its log.")
    if told is not None:
        folder = Path(told["folder"]) if told.get("folder") else None
        short = told.get("status") in ("interrupted", "aborted")
        cut, unwanted = interrupted and short, interrupted or short
        return Ended(told.get("summary"), folder, cut, told.get("rto_at_least_s"), unwanted)
    if interrupted:
        return Ended(interrupted=True, unwanted=True)
    if status == 0:
        raise UsageError(
            f"{wish.experiment} was run, but it is no drill: it observes nothing, so there is no verdict.",
            "add the observe control to its controls, or use 'chaos run'.",
        )
    raise UsageError(f"{wish.experiment} was not run as a drill.", "correct what is said above.")
