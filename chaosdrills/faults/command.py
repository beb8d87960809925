"""Command: the user's own argv lists hit a target and heal it, wherever it runs.

The handle is all that is needed to heal from another process and folder::

    {"deed": "kill", "node": 2, "inject": ["ssh", ...], "heal": ["ssh", ...], "check": ["ssh", ...], "timeout_s": 60.0,
     "cwd": "/where/it/was/run", "outputs": "/journals/<run>/commands", "id": "3fa2b1"}

`deed` is what the commands are said to do, for labels. No shell is used; placeholders are replaced before, see
`filled`. Each command ends within `timeout_s`; an exit status other than 0 means that it failed. Its output is appended
to ``<label>-<id>-<step>.log`` in `outputs`, or in the state folder where that is gone. `check` is optional: exit status
0 means that the target is healthy. With it `inject` is over when a client can see it, and a heal when it is served
again; without it the exit statuses are all that is known, and a heal is needed until it was done.

Nothing of the environment is written down. A heal runs with the environment of whoever heals.
"""

import os
import re
import secrets
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from chaosdrills.core.strict import loads
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults import marking
from chaosdrills.faults.fault import Target
from chaosdrills.host.commands import Ended, end, run
from chaosdrills.host.files import write_json
from chaosdrills.host.paths import state_dir
from chaosdrills.host.processes import Identity

TIMEOUT_S = 60.0
CHECK_TIMEOUT_S = 10.0
POLL_S = 0.2
LAST_LINES = 5
LAST_BYTES = 65_536
LONGEST_LINE = 200

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|(\$?)\{([A-Za-z_]\w*)\}")


class Command:
    """The fault `command`; see `chaosdrills.faults.fault.Fault`."""

    name = "command"
    local = False

    def describe(self, target: Target) -> str:
        """What the commands are said to do, and the target's label: "kill by command of broker 2 (leader of t/0)"."""
        return f"{target.handle.get('deed', self.name)} by command of {target.label}"

    def check(self, target: Target) -> None:
        """Raise `UnavailableError` if a program is not there, or if the target is not healthy as it is."""
        for step in ("inject", "heal", "check"):
            _require_program(target, step)
        if not self._healthy(target, without=True):
            raise UnavailableError(
                f"{target.label} is not healthy before it is hit, says its check ({_tail(target, 'check')}): "
                "nothing was hit.",
                "mend it, or correct the check: its exit status must be 0 where the target is healthy.",
            )

    def inject(self, target: Target) -> None:
        """Run `inject`, and return when it has ended and the check, if there is one, sees that something was hit.

        Raises `UnavailableError` if it fails, is not over in time, if the target is healthy all the same, or if the
        check cannot be run: then nobody knows whether anything was hit.
        """
        begun = _begun(target)
        begun.touch()
        self._do(target, "inject", f"{self.describe(target)}: its inject", "its heal is still to be done")
        begun.unlink(missing_ok=True)
        deadline = time.monotonic() + target.handle["timeout_s"]
        while target.handle.get("check") and self._asked(target):
            if time.monotonic() >= deadline:
                raise UnavailableError(
                    f"{self.describe(target)}: its check finds it healthy {target.handle['timeout_s']:g} s later: "
                    "nothing was hit.",
                    f"correct inject or check; what they said is in {_log(target, 'inject').parent}.",
                )
            time.sleep(POLL_S)

    def needs_heal(self, target: Target) -> bool:
        """Whether the check fails; always, where there is none: then only a heal that was done says otherwise.

        And always, whatever the check says, where nobody has seen `inject` end well: it may still be at work.
        """
        _require_handle(target.handle)
        return _begun(target).exists() or not self._healthy(target, without=False)

    def heal(self, target: Target) -> bool:
        """Run `heal` to its end. Raises `UnavailableError` if it fails or is not over in time."""
        if not self.needs_heal(target):
            return False
        _end_inject(target)
        self._do(target, "heal", "its heal", "it is not healed")
        _begun(target).unlink(missing_ok=True)
        return True

    def wait_healed(self, target: Target, timeout_s: float) -> None:
        """Wait until the check finds the target healthy; there is nothing to wait for without one.

        Raises `UnavailableError` if that takes longer than `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while not self._healthy(target, without=True):
            if time.monotonic() >= deadline:
                raise UnavailableError(
                    f"{target.label} is not healthy {timeout_s:g} s after its heal, says its check "
                    f"({_tail(target, 'check')}).",
                    "look at the target, and run 'chaos drills heal' again.",
                )
            time.sleep(POLL_S)

    def _healthy(self, target: Target, without: bool) -> bool:
        """What the check says; one that cannot be run or hangs is no sign of health. `without` one, that."""
        if not target.handle.get("check"):
            return without
        try:
            return self._asked(target)
        except UnavailableError:
            return False

    def _asked(self, target: Target) -> bool:
        """What the check says, no if it hangs. Raises `UnavailableError` if it cannot be run."""
        return _run(target, "check", min(CHECK_TIMEOUT_S, target.handle["timeout_s"])).status == 0

    def _do(self, target: Target, step: str, who: str, therefore: str) -> None:
        ended = _run(target, step, target.handle["timeout_s"])
        if ended.status == 0:
            return
        how = f"was ended after {target.handle['timeout_s']:g} s" if ended.status is None else _status(ended.status)
        raise UnavailableError(
            f"{who} {how}; {therefore}. It said: {_tail(target, step)}.",
            f"read {_log(target, step)}, and run 'chaos drills heal'.",
        )


def command_target(
    service: str,
    label: str,
    role: str,
    deed: str,
    argvs: Mapping[str, Sequence[str]],
    timeout_s: float = TIMEOUT_S,
    node: int | None = None,
) -> Target:
    """A target that `argvs` (inject, heal, and check if there is one) hit and heal, from the folder we are in."""
    handle: dict[str, Any] = {"deed": deed, "timeout_s": timeout_s, "cwd": str(Path.cwd()), "id": secrets.token_hex(3)}
    handle |= {step: list(argv) for step, argv in argvs.items() if argv}
    if node is not None:
        handle["node"] = node
    folder = Path(marking.drill() or ".").resolve()
    handle["outputs"] = str(folder / "commands") if marking.drill() and folder.is_dir() else ""
    return Target(service, label, role, handle)


def argv_of(name: str, given: Any, required: bool = True) -> list[str]:
    """The argv that an experiment gives as `name`: a list of texts and numbers.

    Raises `UsageError` for anything else, and for an empty one where it is `required`.
    """
    if not isinstance(given, list | tuple) and given not in ("", None):
        raise UsageError(
            f"{name} is {type(given).__name__}, not a list.",
            f'write {name} as ["program", "argument", ...], with --var as {name}:json=...; there is no shell.',
        )
    words = list(given or ())
    for word in words:
        if isinstance(word, bool) or not isinstance(word, str | int | float) or "\0" in str(word):
            raise UsageError(f"{name} holds {type(word).__name__}, which is no argument.", "give texts and numbers.")
    if words and not str(words[0]).strip():
        raise UsageError(f"{name} begins with an empty text.", "begin it with the program.")
    if required and not words:
        raise UsageError(
            f"{name} is empty, and the target 'command' needs it.",
            f'write {name} as ["program", ...]; a shipped experiment takes it from a variable, such as '
            f"KAFKA_{name.upper()}, TIMESCALEDB_{name.upper()} or REDIS_{name.upper()}.",
        )
    return [str(word) for word in words]


def filled(name: str, argv: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """`argv` with ``{name}`` replaced by the value of that name; ``{{name}}`` stands for ``{name}`` itself.

    Raises `UsageError` for a name that `values` do not have. Other braces stay as they are.
    """
    known = ", ".join(f"{{{each}}}" for each in values)

    def value(found: re.Match[str]) -> str:
        literal, dollar, wanted = found.groups()
        if literal is not None:
            return f"{{{literal}}}"
        if dollar and wanted not in values:
            return found.group()  # a variable of the shell that the command starts
        if dollar:
            raise UsageError(f"{name} has ${{{wanted}}}.", f"write {{{wanted}}}: ${{...}} is the configuration's.")
        if wanted not in values:
            raise UsageError(
                f"{name} has the placeholder {{{wanted}}}, which is not known.",
                f"use {known or 'none here'}; write {{{{{wanted}}}}} for the text itself.",
            )
        return values[wanted]

    return [_PLACEHOLDER.sub(value, word) for word in argv]


def said(target: Target, step: str) -> str:
    """The last lines of what `step` said when it ran last, in one line; empty if it said nothing."""
    try:
        with open(_log(target, step), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LAST_BYTES))
            text = file.read(LAST_BYTES).decode(errors="replace")
    except OSError:
        return ""
    lines = [" ".join("".join(it if it.isprintable() else " " for it in line).split()) for line in text.splitlines()]
    begun = max((at for at, line in enumerate(lines) if line.startswith(_BEGIN)), default=-1)
    spoken = [line for line in lines[begun + 1 :] if line and not line.startswith(_END)]
    return " / ".join(line[:LONGEST_LINE] for line in spoken[-LAST_LINES:])


_BEGIN = "==>"
_END = "<=="


def _run(target: Target, step: str, timeout_s: float) -> Ended:
    """Run a step, between two lines of ours in its log. Raises `UnavailableError` if it cannot be run."""
    argv = target.handle[step]
    try:
        log = _log(target, step)
        _append(log, f"{_BEGIN} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {shlex.join(argv)}")
    except OSError as error:
        if step == "inject":
            raise UnavailableError(
                f"cannot keep the output of {step} in {error.filename}: {error.strerror}; nothing was injected.",
                "make room on that disk.",
            ) from error
        log = Path(os.devnull)  # a heal is done though nothing can be kept of it
    started = partial(_note_inject, target) if step == "inject" else lambda _: None
    ended = run(argv, log, _cwd(target), timeout_s, started)
    how = f"ended after {timeout_s:g} s" if ended.status is None else f"exit status {ended.status}"
    with suppress(OSError):
        _append(log, f"{_END} {how}, {ended.took_s:.1f} s")
    return ended


def _begun(target: Target) -> Path:
    """A file that is there from before `inject` starts until it has ended well, or a heal has.

    While it runs its process is in it (``{"pid": 1, "start_ticks": 2}``): a heal ends what a killed drill left at work.
    """
    return state_dir("commands") / f"{re.sub(r'[^0-9a-zA-Z]', '', str(target.handle['id']))}.begun"


def _note_inject(target: Target, process: Identity) -> None:
    with suppress(OSError):
        write_json(_begun(target), asdict(process))


def _end_inject(target: Target) -> None:
    """End an `inject` that its drill, killed in the middle of it, has left at work: it must not hit what is healed."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        written = loads(_begun(target).read_bytes())
        end(Identity(int(written["pid"]), int(written["start_ticks"])))


def _require_handle(handle: Mapping[str, Any]) -> None:
    """Raise `KeyError` or `TypeError` unless it holds what a heal needs."""
    argvs = [handle["heal"], handle.get("check") or []]
    words = [word for argv in argvs for word in argv] if all(isinstance(argv, list) for argv in argvs) else [None]
    timeout_s = handle["timeout_s"]
    if not handle["heal"] or not all(isinstance(word, str) for word in words):
        raise TypeError("heal or check is no argv")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s < 1e6:
        raise TypeError("timeout_s is no time")
    if not isinstance(handle["cwd"], str) or not re.fullmatch("[0-9a-f]+", str(handle["id"])):
        raise TypeError("cwd is no folder, or id no id")


def _append(log: Path, line: str) -> None:
    with open(log, "a", opener=_private) as file:
        file.write(f"{line}\n")


def _private(path: str, flags: int) -> int:
    """Only we read what commands say: it may hold what is nobody else's business."""
    return os.open(path, flags, 0o600)


def _log(target: Target, step: str) -> Path:
    """Where the output of a step goes."""
    name = re.sub(r"[^a-z0-9]+", "-", target.label.lower()).strip("-")[:60]
    outputs = target.handle.get("outputs")
    folder = Path(outputs) if outputs and Path(outputs).parent.is_dir() else state_dir("commands")
    folder.mkdir(exist_ok=True)
    return folder / f"{name}-{target.handle['id']}-{step}.log"


def _cwd(target: Target) -> Path:
    """The folder that the commands are run from: where they were given, if that is still there."""
    cwd = Path(target.handle["cwd"])
    return cwd if cwd.is_dir() else Path("/")


def _require_program(target: Target, step: str) -> None:
    """Raise unless the step's program is there: a heal that cannot be run must be known before anything is hit."""
    argv = target.handle.get(step)
    if argv and shutil.which(argv[0] if "/" not in argv[0] else str(_cwd(target) / argv[0])) is None:
        raise UnavailableError(
            f"the program of {step}, {argv[0]}, is not there: nothing was hit.", f"install it, or correct {step}."
        )


def _status(status: int) -> str:
    return f"ended with exit status {status}" if status >= 0 else f"was ended by signal {-status}"


def _tail(target: Target, step: str) -> str:
    return said(target, step) or "nothing"
