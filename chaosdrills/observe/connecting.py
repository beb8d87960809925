"""Connections for the load, made in a thread of their own so that the load never waits for one.

Whoever lost a connection asks for another; it comes back connected to whom it is to be written to then, and ready.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from chaosdrills.errors import DrillError

logger = logging.getLogger(__name__)

BREATH_S = 0.2
SOON_S = 1.0
STOP_S = 15.0
LOG_AGAIN_S = 10.0


class Made(Protocol):
    """A connection for the lane `stream`, ready to be written to."""

    @property
    def stream(self) -> int: ...

    def close(self) -> None:
        """End it, if nobody wants it."""


M = TypeVar("M", bound=Made)


class Connector(ABC, Generic[M]):
    """Makes connections, each for a lane. `descriptor` becomes readable when there are some to be `taken`.

    `trouble` is the last that went wrong, in words.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self._asked: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[M] = queue.SimpleQueue()
        self._last_at: dict[int, float] = {}
        self._failed_at: dict[int, float] = {}
        self._told_at = 0.0
        self._stop = threading.Event()
        self.descriptor, self._bell = os.pipe()
        for end in (self.descriptor, self._bell):
            os.set_blocking(end, False)
        self._thread = threading.Thread(target=self._run, name="connector", daemon=True)

    @abstractmethod
    def make(self, stream: int) -> M:
        """A connection for the lane `stream`. Bounded; gives up once `stopped`. Raises `DrillError`."""

    def stopped(self) -> bool:
        """Whether no more are wanted."""
        return self._stop.is_set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self, stream: int) -> None:
        """Have a connection made for `stream`."""
        self._asked.put(stream)

    def taken(self) -> list[M]:
        """The connections that were made since; the bell is silent afterwards."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4096)
        found: list[M] = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._made.get_nowait())
        return found

    def stop(self) -> None:
        """Make no more, and close those that nobody took. Bounded, idempotent."""
        if not self._stop.is_set():
            self._stop.set()
            self._asked.put(None)
            if self._thread.is_alive():
                self._thread.join(STOP_S)
            for made in self.taken():
                made.close()

    def _run(self) -> None:
        while True:
            stream = self._asked.get()
            if stream is None or self._stop.is_set():
                return
            try:
                self._connect(stream)
            except DrillError as error:
                self._tell(error.message)
                self._again(stream)
            except Exception:
                logger.exception("a connection was not made")
                self._again(stream)

    def _again(self, stream: int) -> None:
        self._failed_at[stream] = time.monotonic()
        self._asked.put(stream)

    def _connect(self, stream: int) -> None:
        """Make one, not too soon after the last one of this lane, and hand it over."""
        if time.monotonic() - self._last_at.get(stream, 0.0) < SOON_S:
            self._stop.wait(BREATH_S)
        self._stop.wait(max(0.0, self._failed_at.get(stream, 0.0) + BREATH_S - time.monotonic()))
        made = self.make(stream)
        self._last_at[stream] = time.monotonic()
        self._made.put(made)
        os.write(self._bell, b".")

    def _tell(self, message: str) -> None:
        self.trouble = message
        if time.monotonic() - self._told_at >= LOG_AGAIN_S:
            self._told_at = time.monotonic()
            logger.warning("no connection: %s", message)
