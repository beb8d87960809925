"""Ending a running drill before its time, in good order: rollbacks are kept, faults healed, the record closed.

The Chaos Toolkit runs activities in the main thread of `chaos`, where they may block for minutes. What interrupts any
of them is an exception that a signal handler raises: SIGUSR1 is chaoslib's own for this (`chaoslib/exit.py`), and
raises ``SystemExit(20)``. That is no `Exception`, so an activity does not turn it into a failure of its own, as it does
with the one of SIGTERM; and rollbacks are played after it. Our handler does the same, with two differences:

- It raises once, and never when rollbacks or the conclusion are under way, for a second one would cut those short.
- While the method only waits for activities in the background it raises again: they cannot be interrupted, and what
  they hold up is the heal.

SIGTERM and SIGHUP (the terminal is gone) are wishes for the same: chaoslib's own handler of the one raises an
`Exception`, which any Python activity turns into a failure of its own, so that the method would go on, and by the other
Python just ends.

Ctrl-C stays a `KeyboardInterrupt`, for those who want to leave a drill without its rollbacks. It is noted before it is
raised: chaoslib waits for activities in the background first, and none of them may inject anything by then. Two within
`ONCE_S` are one: `chaos drills run` passes on what a terminal has sent to the whole process group already.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.processes import Identity
from chaosdrills.observe.children import descendants

SIGNAL = signal.SIGUSR1
EXIT_GRACEFULLY = 20  # chaoslib's code for "with rollbacks"
AGAIN_S = 2.0
LEAVE_S = 5.0
POLL_S = 0.1
ONCE_S = 0.3


class Abort:
    """The abort of one drill. `why` is empty until it is asked for, `at_ns` when that was (CLOCK_BOOTTIME),
    `children` what activities had started then. Once it is `closed`, nothing is cut short any more. `left`: the method
    is being left for whatever reason, and nothing may be injected; `interrupts` counts the times of Ctrl-C.
    """

    def __init__(self) -> None:
        self.why = ""
        self.at_ns = 0
        self.children: list[Identity] = []
        self.left = False
        self.interrupts = 0
        self._interrupted_at = 0.0
        self._closed = threading.Event()
        self._asking = threading.Lock()
        self._raised = False
        self._before: dict[int, Any] = {}

    @property
    def closed(self) -> bool:
        """Whether the drill is at its rollbacks or behind them."""
        return self._closed.is_set()

    @property
    def pending(self) -> bool:
        """Whether it was asked for and the method, or what comes before it, is still to be left."""
        return bool(self.why) and not self.closed

    def install(self, terminated: Callable[[str], object]) -> None:
        """Handle the signals from now on, in the main thread; elsewhere nothing can be cut short.

        `terminated` is called with the signal's name, in a thread of its own, for each SIGTERM and SIGHUP; one that was
        ignored (nohup) stays so.
        """

        def pass_on(number: int, frame: FrameType | None) -> None:
            name = signal.Signals(number).name
            threading.Thread(target=terminated, args=(name,), name="terminated", daemon=True).start()

        if threading.current_thread() is not threading.main_thread():
            return
        handlers = {
            SIGNAL: self._handle, signal.SIGINT: self._interrupt, signal.SIGTERM: pass_on, signal.SIGHUP: pass_on
        }  # fmt: skip
        for number, handler in handlers.items():
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, handler)

    def uninstall(self) -> None:
        """Give the signals back. Idempotent."""
        self.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def request(self, why: str) -> bool:
        """Have the drill end, from any thread; returns at once. False if it ends already."""
        with self._asking:
            if self.why or self.closed:
                return False
            self.why, self.at_ns = why, boottime_ns()
            self.children = descendants()
        threading.Thread(target=self._insist, name="abort", daemon=True).start()
        return True

    def close(self) -> None:
        """Cut nothing short any more. An abort that was accepted before is known when this returns."""
        with self._asking:
            self._closed.set()

    @contextmanager
    def possible(self) -> Iterator[None]:
        """Cut short what is in the block, though rollbacks are behind."""
        self._closed.clear()
        try:
            yield
        finally:
            self.close()

    def _insist(self) -> None:
        main = threading.main_thread().ident
        while not self.closed and main is not None:
            signal.pthread_kill(main, SIGNAL)
            self._closed.wait(AGAIN_S)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._interrupted_at < ONCE_S:
            return
        self._interrupted_at, self.left = now, True
        self.interrupts += 1
        signal.default_int_handler(number, frame)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.closed and (not self._raised or _in(ThreadPoolExecutor.shutdown, frame)):
            self._raised = True
            raise SystemExit(EXIT_GRACEFULLY)


def _in(function: Any, frame: FrameType | None) -> bool:
    """Whether a thread that is at `frame` is inside a call of `function`."""
    while frame is not None:
        if frame.f_code is function.__code__:
            return True
        frame = frame.f_back
    return False


def leave_in_time(status: int) -> None:
    """Have this process end `LEAVE_S` after its main thread, though an activity in the background still runs.

    Python waits for such threads at its end, for as long as they sleep. Called when everything is healed and written.
    """
    threading.Thread(target=_leave, args=(status,), name="leave", daemon=True).start()


def _leave(status: int) -> None:
    while not _in(threading._shutdown, sys._current_frames().get(threading.main_thread().ident or 0)):  # type: ignore[attr-defined]
        time.sleep(POLL_S)
    time.sleep(LEAVE_S)  # this thread ends here with the process, if nothing keeps it
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
