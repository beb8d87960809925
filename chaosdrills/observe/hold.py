"""Holding a drill before its first fault, with load going on, until somebody says go.

Asked for by `CHAOSDRILLS_HOLD=1` in the environment of the run (what ``chaos drills run --hold`` sets);
`CHAOSDRILLS_HOLD_TIMEOUT_S` bounds it. "Go" is `chaos drills go` from another terminal, or Enter where the drill's own
standard input is a terminal.
"""

import os
import select
import sys
import termios
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Literal

from chaosdrills.errors import UsageError

HOLD = "CHAOSDRILLS_HOLD"
TIMEOUT = "CHAOSDRILLS_HOLD_TIMEOUT_S"
TIMEOUT_S = 3600.0
POLL_S = 0.2

State = Literal["ahead", "held", "open", "shut"]


class Hold:
    """One hold. `state`: still ahead, held, gone on, or shut: it will not go on (an abort was faster)."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        self.state: State = "ahead"
        self._changing = threading.Lock()

    @property
    def held(self) -> bool:
        """Whether the drill waits for a "go" now."""
        return self.state == "held"

    def wait(self, look: Callable[[], object]) -> bool:
        """Hold; false if nobody said go within `timeout_s`. `look` is called now and then, and may raise."""
        if self._become("held", only_from="ahead"):
            _forget_entered()
        deadline = time.monotonic() + self.timeout_s
        while self.state == "held":
            if time.monotonic() >= deadline:
                self._become("shut", only_from="held")
                break
            look()
            if _entered(POLL_S):
                self._become("open", only_from="held")
        return self.state == "open"

    def go(self) -> bool:
        """Let the drill go on. False if it is not held."""
        return self._become("open", only_from="held")

    def shut(self) -> None:
        """Take no "go" any more."""
        with self._changing:
            if self.state != "open":
                self.state = "shut"

    def _become(self, state: State, only_from: State) -> bool:
        with self._changing:
            if self.state != only_from:
                return False
            self.state = state
            return True


def hold_of(environment: MutableMapping[str, str]) -> Hold | None:
    """The hold that the environment asks for, and does no more: what a drill runs itself is not meant to hold.

    Raises `UsageError` for a value that cannot be.
    """
    wanted, given = environment.pop(HOLD, ""), environment.pop(TIMEOUT, "") or str(TIMEOUT_S)
    if wanted not in ("", "0", "1"):
        raise UsageError(f"{HOLD} is {wanted!r}.", "set it to 1 to hold before the first fault, or unset it.")
    if wanted != "1":
        return None
    try:
        timeout_s = float(given)
    except ValueError:
        timeout_s = -1.0
    if not 0 < timeout_s < 1e6:
        raise UsageError(f"{TIMEOUT} is {given!r}.", "give seconds, above 0.")
    return Hold(timeout_s)


def at_terminal() -> bool:
    """Whether Enter can be read: standard input is a terminal, and ours to read from."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False


def _forget_entered() -> None:
    """Throw away what was typed before anybody was asked: an Enter in the warm-up is no "go"."""
    if at_terminal():
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _entered(wait_s: float) -> bool:
    """Wait for `wait_s`; whether Enter was pressed."""
    if not at_terminal():
        time.sleep(wait_s)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], wait_s)
    return bool(ready) and sys.stdin.readline() != ""
