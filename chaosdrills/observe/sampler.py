"""Looking at counts beside the load: each watch has a thread of its own, which waits for nothing but its source.

A look is due every `every_s`, and at once where the one before took longer; the last one is made after the load has
ended. Samples are evidence: each look is noted, also one that saw nothing.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from chaosdrills.core.history import NO_SEQ, NO_TIME, Outcome, to_ns
from chaosdrills.errors import DrillError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.counts import NotSeen, Seen, Source
from chaosdrills.observe.ledger import LedgerPage
from chaosdrills.observe.watches import Watch

logger = logging.getLogger(__name__)

CLOSE_S = 2.0  # to note everything, beyond what the last look is given


class Sampler:
    """Samples all of `watches` from `begin` to `end`; their numbers are those of the sample streams."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = watches
        self._threads: list[_Looking] = []

    def begin(self, make_page: Callable[[], LedgerPage]) -> None:
        """Start looking; each thread has a page of its own. Raises `DrillError` for a source that cannot be made."""
        sources = [watch.begin() for watch in self._watches]
        for number, (watch, source) in enumerate(zip(self._watches, sources, strict=True)):
            self._threads.append(_Looking(number, watch, source, make_page()))
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Look once more, then no more. Returns at once; idempotent."""
        for thread in self._threads:
            thread.ending.set()

    def finish(self, timeout_s: float) -> None:
        """Wait up to `timeout_s`, and a moment, until all is noted. Idempotent."""
        self.end()
        deadline_ns = boottime_ns() + to_ns(timeout_s + CLOSE_S)
        for thread in self._threads:
            thread.join(max(0.0, (deadline_ns - boottime_ns()) / 1e9))

    def standings(self) -> dict[str, dict[str, Any]]:
        """Each watch by its name: the `count` that the last look saw, null if it saw none, and `why` it did not."""
        return {it.watch.name: {"count": it.count, "why": it.why} for it in self._threads}


class _Looking(threading.Thread):
    """One watch and its thread."""

    def __init__(self, number: int, watch: Watch, source: Source, page: LedgerPage) -> None:
        super().__init__(name=f"watch {watch.name}", daemon=True)
        self.watch = watch
        self.ending = threading.Event()
        self.count: int | None = None
        self.why = "no answer yet"
        self._number = number
        self._source = source
        self._page = page
        self._last: tuple[int, int] | None = None  # look that saw a count: when, and which

    def run(self) -> None:
        """Look until told to end, and once more."""
        try:
            due_ns, over = boottime_ns(), False
            while not over:
                over = self.ending.is_set()
                self._look()
                self._page.turn()
                due_ns = max(due_ns + to_ns(self.watch.every_s), boottime_ns())
                self.ending.wait(max(0.0, (due_ns - boottime_ns()) / 1e9))
        except DrillError:
            logger.warning("the watch %s ends: the record cannot be written", self.watch.name)
        finally:
            self._source.close()
            with suppress(DrillError):  # the scribe's own trouble is told by the load
                self._page.close()

    def _look(self) -> None:
        invoked_ns = boottime_ns()
        try:
            seen = self._source.look(self.watch.timeout_s)
        except NotSeen as error:
            answered = error.outcome == Outcome.FAILED
            self._page.sample(self._number, NO_SEQ, invoked_ns, boottime_ns() if answered else NO_TIME, error.outcome)
            self._tell(None, str(error))
            return
        except Exception:
            logger.exception("a look at %s failed in a way that it should not", self.watch.name)
            self._page.sample(self._number, NO_SEQ, invoked_ns, NO_TIME, Outcome.UNKNOWN)
            self._tell(None, "a defect; see observer.log")
            return
        self._note(seen, invoked_ns, boottime_ns())

    def _note(self, seen: Seen, invoked_ns: int, completed_ns: int) -> None:
        """Note what was seen: also the looks that would have seen each of its instants, just before and right then.

        An instant that does not lie between the look before and this one is of another clock: it is moved there.
        """
        if self._last is not None:
            before_ns, count = self._last
            for at_ns, later in seen.since:
                within_ns = min(max(at_ns, before_ns + 1), invoked_ns)
                self._page.sample(self._number, count, within_ns - 1, within_ns - 1, Outcome.OK)
                self._page.sample(self._number, later, within_ns, within_ns, Outcome.OK)
                count = later
        self._page.sample(self._number, seen.count, invoked_ns, completed_ns, Outcome.OK)
        self._last = (invoked_ns, seen.count)
        self._tell(seen.count, "")

    def _tell(self, count: int | None, why: str) -> None:
        if why != self.why:
            logger.info("the watch %s: %s", self.watch.name, why or "seen")
        self.count, self.why = count, why
