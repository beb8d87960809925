"""The reads of registers, which are load: an open loop in a thread of its own, one read at a time.

A read that is due while an earlier one is not answered waits for it, and counts from when it was due. One that has
waited for as long as an answer is waited for is not sent any more: it has failed.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from chaosdrills.core.history import NO_SEQ, NS, Outcome, to_ns
from chaosdrills.errors import DrillError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.beside import Beside
from chaosdrills.observe.pacing import OpenLoop
from chaosdrills.observe.registers import Registers
from chaosdrills.observe.workload import Page

logger = logging.getLogger(__name__)

LOG_AGAIN_NS = 10 * NS


class Source(Protocol):
    """Where registers are read. Each call is bounded."""

    def read(self, register: int, stopped: Callable[[], bool]) -> int:
        """The seq that the register holds now, `NO_SEQ` if it holds nothing.

        Connects if need be, and gives that up once `stopped`. Raises `DrillError` if it cannot be read.
        """

    def close(self) -> None:
        """Hang up. Idempotent."""


class RegisterReader:
    """Reads `registers` in turn, `rate_per_s` a second, and notes what it saw in `page`.

    `patience_s` is how long a read may have waited and still be sent.
    """

    def __init__(self, registers: Registers, rate_per_s: float, patience_s: float, source: Source, page: Page) -> None:
        self._registers = registers
        self._rate_per_s = rate_per_s
        self._patience_ns = to_ns(patience_s)
        self._source = source
        self._page = page
        self._told_ns = 0
        self._beside = Beside(self._run, "reader")

    def start(self) -> None:
        """Start reading."""
        self._beside.start()

    def stop(self) -> None:
        """Stop reading; waits at most 10 s for the thread."""
        self._beside.stop()

    def _run(self) -> None:
        plan, number = OpenLoop(boottime_ns(), self._rate_per_s), 0
        while not self._beside.wait(plan.wait_s(boottime_ns())):
            for due_ns in plan.take(boottime_ns(), 1):
                if self._beside.stopped():
                    break
                self._read(self._registers.to_read(number), due_ns)
                number += 1
            self._page.turn()
        self._source.close()
        self._page.close()

    def _read(self, register: int, due_ns: int) -> None:
        seq, outcome = NO_SEQ, Outcome.FAILED
        if boottime_ns() - due_ns < self._patience_ns:
            try:
                seq, outcome = self._source.read(register, self._beside.stopped), Outcome.OK
            except DrillError as error:
                self._tell(error.message)
            except Exception:
                logger.exception("a read went wrong")
                self._source.close()
        self._page.read(register, seq, due_ns, boottime_ns(), int(outcome))
        self._page.turn()

    def _tell(self, message: str) -> None:
        if boottime_ns() - self._told_ns >= LOG_AGAIN_NS:
            self._told_ns = boottime_ns()
            logger.warning("registers cannot be read: %s", message)
