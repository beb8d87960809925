"""The reads of registers: an open loop, whatever the service does."""

import threading
from collections.abc import Callable

import numpy as np

from chaosdrills.core.history import NO_SEQ, NS, Outcome
from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.ledger import LedgerPage, Sheet
from chaosdrills.observe.register_reader import RegisterReader
from chaosdrills.observe.registers import Registers


class Toy:
    """A service with one register, which holds 7; `gate` holds its answers back, `broken` refuses them."""

    def __init__(self) -> None:
        self.gate, self.broken, self.closed = threading.Event(), False, False
        self.gate.set()
        self.asked = 0

    def read(self, register: int, stopped: Callable[[], bool]) -> int:
        self.asked += 1
        assert self.gate.wait(30)
        if self.broken:
            raise UnavailableError("it is broken.", "mend it.")
        return 7 + register

    def close(self) -> None:
        self.closed = True


class Reading:
    """A reader at work on a toy, and what it noted."""

    def __init__(self, rate_per_s: float = 200) -> None:
        self.toy, self.sheets = Toy(), list[Sheet]()
        page = LedgerPage(self.sheets.append, lambda: 0)
        self.reader = RegisterReader(Registers(1, NS, lambda: 0), rate_per_s, 0.5, self.toy, page)

    @property
    def reads(self) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
        return np.concatenate([np.empty((0, 5), np.int64), *[sheet.reads for sheet in self.sheets]])

    def noted(self, outcome: Outcome) -> int:
        return int((self.reads[:, 4] == outcome).sum())


def test_every_read_that_was_due_is_noted_with_what_it_saw() -> None:
    reading = Reading()
    reading.reader.start()
    assert wait_until(lambda: reading.noted(Outcome.OK) >= 50, 20)
    reading.reader.stop()
    assert reading.toy.closed
    reads = reading.reads
    assert set(reads[:, 1]) == {7}
    assert set(np.diff(reads[:, 2])) == {NS // 200}
    assert (reads[:, 3] >= reads[:, 2]).all()


def test_reads_that_waited_for_too_long_have_failed_and_were_not_sent() -> None:
    reading = Reading()
    reading.reader.start()
    assert wait_until(lambda: reading.noted(Outcome.OK) >= 20, 20)
    reading.toy.gate.clear()
    begun = reading.toy.asked
    assert not wait_until(lambda: reading.toy.asked > begun + 1, 2)
    reading.toy.gate.set()
    assert wait_until(lambda: reading.noted(Outcome.FAILED) >= 100, 20)
    reading.reader.stop()
    reads = reading.reads
    assert set(np.diff(reads[:, 2])) == {NS // 200}, "none is left out"
    assert set(reads[reads[:, 4] == Outcome.FAILED, 1]) == {NO_SEQ}


def test_what_cannot_be_read_has_failed_and_reading_goes_on() -> None:
    reading = Reading()
    reading.toy.broken = True
    reading.reader.start()
    assert wait_until(lambda: reading.noted(Outcome.FAILED) >= 20, 20)
    reading.toy.broken = False
    assert wait_until(lambda: reading.noted(Outcome.OK) >= 20, 20)
    reading.reader.stop()
