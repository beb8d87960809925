"""Where a drill's rows are read as Feast's users read them: what is not served to them is not read.

A row that nobody has written yet is read, and holds nothing. One of which a write was acknowledged is read only if its
values are there and its event time is not 1970: Feast answers with the status PRESENT all the same.
"""

import time
from collections.abc import Callable

import numpy as np

from chaosdrills.core.history import NO_SEQ, NS, Ints, Outcome
from chaosdrills.feast.rows import Rows
from chaosdrills.observe.workload import Page
from chaosdrills.redis.arguments import Arguments
from chaosdrills.redis.client import Reply, ServerError
from chaosdrills.redis.finding import Client
from chaosdrills.redis.reader import RegisterSource


class Acknowledged:
    """A page that keeps in mind which registers have an acknowledged write; else as the one it hands all over to."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._registers: set[int] = set()
        self.write, self.read, self.new_stream = page.write, page.read, page.new_stream
        self.turn, self.close = page.turn, page.close

    def write_all(self, table: Ints) -> None:
        """Note writes; see `Page.write_all`."""
        self._registers.update(np.unique(table[table[:, 4] == Outcome.OK, 0]).tolist())
        self._page.write_all(table)

    def __contains__(self, register: int) -> bool:
        return register in self._registers


class RowSource(RegisterSource):
    """The `Source` of rows. `ages_s` are those of the event times that were seen; `unserved` counts what was not."""

    def __init__(self, arguments: Arguments, rows: Rows, client: Client, acknowledged: Acknowledged) -> None:
        super().__init__(arguments, rows, client)
        self.ages_s: list[float] = []
        self.unserved = 0
        self._rows = rows
        self._acknowledged = acknowledged
        self._expected = False

    def read(self, register: int, stopped: Callable[[], bool]) -> int:
        """The seq that the row holds, `NO_SEQ` if nobody has written it yet. Raises `DrillError`."""
        self._expected = register in self._acknowledged
        return super().read(register, stopped)

    def understood(self, register: int, value: Reply) -> int:
        """The seq of what was answered. Raises `ServerError` where that is not served, or damaged."""
        row = self._rows.row_in(value)
        if row is not None and not row.is_served:
            if not self._expected and self._rows.is_nothing(value):
                return NO_SEQ
            self.unserved += 1
            raise ServerError(f"row {register} is not served: its values or its event time are not there.")
        seq = super().understood(register, value)
        if row is not None:
            self.ages_s.append(time.time() - row.event_ns / NS)
        return seq
