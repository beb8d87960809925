"""Operations of one kind while they are read, and which of them cannot be together in one history."""

from array import array

import numpy as np

from chaosdrills.core.history import Ints, Operations

MAX_SEQ = 2**63 - 1


def first_repeat(writes: Operations) -> tuple[int, int] | None:
    """The rows (earlier, later) of the first (stream, seq) written a second time, by the later row; None if none is."""
    if len(writes) < 2:
        return None
    span = int(writes.seq.max()) + 1
    if (int(writes.stream.max()) + 1) * span <= MAX_SEQ:
        keys = writes.stream * np.int64(span)
        keys += writes.seq
        keys.sort()
        if not (keys[1:] == keys[:-1]).any():
            return None
    order = np.lexsort((writes.seq, writes.stream))
    earlier, later = order[:-1], order[1:]
    same = (writes.seq[earlier] == writes.seq[later]) & (writes.stream[earlier] == writes.stream[later])
    if not same.any():
        return None
    first = int(np.argmin(np.where(same, later, len(writes))))
    return int(earlier[first]), int(later[first])


class Columns:
    """Operations of one kind as they are read, with the line that each came from."""

    def __init__(self) -> None:
        self.stream = array("i")
        self.seq = array("q")
        self.invoked = array("q")
        self.completed = array("q")
        self.outcome = array("B")
        self.line = array("q")

    def operations(self, renumbered: Ints | None) -> Operations:
        """The columns, without a copy but for streams that are numbered anew."""
        stream = np.frombuffer(self.stream, np.int32)
        return Operations(
            stream if renumbered is None else renumbered[stream].astype(np.int32),
            np.frombuffer(self.seq, np.int64),
            np.frombuffer(self.invoked, np.int64),
            np.frombuffer(self.completed, np.int64),
            np.frombuffer(self.outcome, np.uint8),
        )
