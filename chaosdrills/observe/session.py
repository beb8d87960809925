"""The drill's side of an observer: start it, put marks, ask for figures, have it finish.

The observer is a process in a session of its own. Its spec goes over a socket, not on its command line. Every wait is
bounded. Once the observer has failed or died, every method raises the reason.
"""

import logging
import os
import queue
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.processes import Identity, is_alive, reap, spawn, stop, wait_gone
from chaosdrills.observe.channel import Channel, ChannelClosed, error_of
from chaosdrills.observe.spec import ObserverSpec
from chaosdrills.observe.workload import Progress

__all__ = ["ObserverSession", "ObserverSpec"]

logger = logging.getLogger("chaostoolkit")

LOG = "observer.log"
ANSWER_TIMEOUT_S = 30.0  # a mark is answered once it is on the device; a snapshot at once
START_MARGIN_S = 5.0  # so that the observer itself can say why it did not get ready in time
END_MARGIN_S = 30.0
CLOSE_S = 20.0


class ObserverSession:
    """A running observer. All methods may be called from any thread.

    `ready` is what its workload said once it was warm: facts of the service. `origin_ns` is the instant 0 of its record
    (CLOCK_BOOTTIME). `answer_timeout_s` bounds the wait for a mark or a figure.
    """

    def __init__(self, channel: Channel, identity: Identity, log: Path) -> None:
        self.ready: dict[str, Any] = {}
        self.origin_ns = 0
        self.answer_timeout_s = ANSWER_TIMEOUT_S
        self._channel = channel
        self._identity = identity
        self._log = log
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._numbers = iter(range(1, 1 << 62))
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._failure: DrillError | None = None
        self._over = False
        self._thread = threading.Thread(target=self._receive, name="observer session", daemon=True)
        self._thread.start()

    @classmethod
    def start(cls, spec: ObserverSpec, folder: Path, timeout_s: float) -> "ObserverSession":
        """Start an observer that logs to ``observer.log`` in `folder`, and wait until every stream was acknowledged.

        Raises `DrillError` with the reason if that does not happen within `timeout_s`; then nothing of it runs.
        """
        ours, theirs = socket.socketpair()
        log = folder / LOG
        argv = [sys.executable, "-P", "-m", "chaosdrills.observe.process", str(theirs.fileno())]
        with theirs:
            try:
                identity = spawn(argv, log, Path.cwd(), _environment(), pass_fds=(theirs.fileno(),))
            except BaseException:
                ours.close()
                raise
        session = cls(Channel(ours), identity, log)
        try:
            session._channel.send({"spec": spec.as_dict(), "ready_timeout_s": timeout_s})
            session._await_ready(timeout_s)
        except ChannelClosed as error:
            session.close()
            raise session._reason(error) from error
        except BaseException:
            session.close()
            raise
        return session

    @property
    def alive(self) -> bool:
        """Whether the observer's process lives."""
        return is_alive(self._identity)

    @property
    def identity(self) -> Identity:
        """The observer's process."""
        return self._identity

    def mark(self, name: str, label: str = "", at_ns: int | None = None) -> None:
        """Put a mark on disk: this returns once it is there. `at_ns` is its CLOCK_BOOTTIME instant, default now.

        Raises `UsageError` for a name that marks do not have, `UnavailableError` if it cannot be written.
        """
        at_ns = boottime_ns() if at_ns is None else at_ns
        self._ask(self.answer_timeout_s, "to put a mark on disk", do="mark", name=name, at_ns=at_ns, label=label)

    def note(self, text: str, at_ns: int) -> None:
        """Put a remark on disk, as `mark`."""
        self._ask(self.answer_timeout_s, "to put a note on disk", do="note", text=text, at_ns=at_ns)

    def snapshot(self, window_s: float = 2.0) -> dict[str, Any]:
        """What the client sees now: see `chaosdrills.observe.figures.Figures.at`, rates over `window_s`; and `phase`,
        `elapsed_s`, `sent`, `in_flight`, `lateness` (`p50_ms`, `p99_ms`, `max_ms` of its own sending), and where any is
        polled `endpoints`: of each by name `good` (null before the first poll), `bad_s`, and `why`; where any
        is watched `watches`: of each the `count` that was seen last, null where it was not, and `why`.
        """
        return self._ask(self.answer_timeout_s, "for its figures", do="snapshot", window_s=window_s)

    def finish(self, drain_s: float, readback_timeout_s: float, progress: Progress | None = None) -> dict[str, Any]:
        """End the load, wait up to `drain_s` for what is in flight, read everything back, and close the record.

        Returns `sent`, `acked`, `failed`, `unknown` (counts), `load_s`, `lateness`, `findings` (of the workload),
        `whole` (whether all was read back) and `checks`: objects of `name`, `ok`, `detail`. A read-back that fails is a
        failed check: the record is whole but for its finals. `progress` is called about once a second to say more.
        """
        timeout_s = drain_s + readback_timeout_s + END_MARGIN_S
        result = self._ask(
            timeout_s, "to drain and read back", progress,
            do="finish", drain_s=drain_s, readback_timeout_s=readback_timeout_s,
        )  # fmt: skip
        return _telling(result)

    def abort(self) -> dict[str, Any]:
        """End the load at once, without reading back: the record keeps `load_end` and gets no end. As `finish`."""
        return _telling(self._ask(END_MARGIN_S, "to end the load", do="abort"))

    def close(self) -> None:
        """End the observer's process, whatever it does: politely first, by SIGKILL after 20 s. Idempotent."""
        self._over = True
        self._channel.close()
        wait_gone([self._identity], CLOSE_S)
        stop([self._identity], grace_s=1.0)
        self._thread.join(timeout=5.0)
        reap()

    def _ask(self, timeout_s: float, purpose: str, progress: Progress | None = None, **request: Any) -> dict[str, Any]:
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        with self._lock:
            if self._failure is not None:
                raise self._failure
            number = next(self._numbers)
            self._waiting[number] = answers
        try:
            self._channel.send({"id": number, **request})
        except ChannelClosed as error:
            self._thread.join(timeout=5.0)
            raise self._reason(error) from error
        try:
            return self._answer(answers, timeout_s, purpose, progress)
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _answer(
        self, answers: "queue.SimpleQueue[dict[str, Any]]", timeout_s: float, purpose: str, progress: Progress | None
    ) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                message = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise self._late(timeout_s, purpose) from None
            if "say" in message:
                if progress is not None:
                    progress(message["say"])
            elif "error" in message:
                raise error_of(message["error"])
            else:
                answer: dict[str, Any] = message["ok"]
                return answer

    def _await_ready(self, timeout_s: float) -> None:
        try:
            event = self._events.get(timeout=timeout_s + START_MARGIN_S)
        except queue.Empty:
            raise self._late(timeout_s, "to get ready") from None
        if "error" in event:
            raise error_of(event["error"])
        self.ready, self.origin_ns = event["facts"], event["origin_ns"]

    def _receive(self) -> None:
        """The session's own thread: gives each answer to whoever waits for it, and sees the observer's end."""
        try:
            while True:
                message = self._channel.receive(60.0)
                if message is not None:
                    self._deliver(message)
        except ChannelClosed as error:
            self._fail(self._reason(error))

    def _deliver(self, message: dict[str, Any]) -> None:
        if message.get("event") == "failed":
            self._fail(error_of(message["error"]))
        elif "event" in message:
            self._events.put(message)
        else:
            self._over = self._over or message.get("last", False)
            with self._lock:
                answers = self._waiting.get(message["id"])
            if answers is not None:
                answers.put(message)

    def _fail(self, error: DrillError) -> None:
        """Remember why nothing more can be asked, and tell everybody who waits."""
        with self._lock:
            self._failure = self._failure or error
            waiting = list(self._waiting.values())
        told = {"error": {"kind": type(self._failure).__name__, "message": error.message, "hint": error.hint}}
        for answers in [*waiting, self._events]:
            answers.put(told)

    def _reason(self, cause: Exception) -> DrillError:
        if self._failure is not None:
            return self._failure
        if self._over:
            return UnavailableError("the observer has ended.", "ask for figures while the load runs.")
        return UnavailableError(
            f"the observer died ({cause}); what it recorded until then is intact.",
            f"read its log, {self._log}, and run the drill again.",
        )

    def _late(self, timeout_s: float, purpose: str) -> UnavailableError:
        return UnavailableError(
            f"the observer was asked {purpose} and did not answer within {timeout_s:g} s.",
            f"read its log, {self._log}; the machine or its disk may hang.",
        )


def _telling(result: dict[str, Any]) -> dict[str, Any]:
    """`result`, once it is said what a drill that did not come to its own leaves in the service: its evidence."""
    stays = result["findings"].get("stays")
    if stays and not result["whole"]:
        logger.warning(f"What the drill wrote stays, as evidence: {stays}")
    return result


def _environment() -> dict[str, str]:
    """The drill's own environment, with its import path: a workload may lie in a folder that only the drill knows."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path}
