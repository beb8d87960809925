"""Registers under load: which one each write goes to, which are read, and when one is retired.

A *register* keeps only the newest of its writes (a Redis key, an upserted row), and is a stream of the record. A *lane*
is one writer, with a connection of its own, and has one register at a time: so a register never has two writers.

A newer write that survives hides that an older one was lost. So a register that has been written to is *retired* after
about a second, and its lane goes on with a new one; and at once when the lane has lost its connection: what it sends
next may reach another server. While nothing can be sent, a register stays.

A register is called by its number, in the order in which they come; the seqs of its writes count from 0.
"""

from collections.abc import Callable, Sequence

import numpy as np

from chaosdrills.core.history import Ints

Place = tuple[int, int]


class Registers:
    """Gives write k, of lane k mod `lanes`, its register and its seq. `new` declares a register: its number.

    `count` is how many there were. All methods but `to_read`, and `count`, are for the thread that drives the load.
    """

    def __init__(self, lanes: int, retire_ns: int, new: Callable[[], int]) -> None:
        self._lanes = lanes
        self._retire_ns = retire_ns
        self._new = new
        self.count = 0
        # of each lane the register that is written to, and the one before
        self._live: list[tuple[int, ...]] = [(self._declared(),) for _ in range(lanes)]
        self._seqs = [0] * lanes
        self._begun_ns = [0] * lanes
        self._sent = [False] * lanes
        self._places: dict[int, Place] = {}

    def take(self, first: int, intended_ns: Sequence[int]) -> None:
        """Give writes from number `first` on, due at these instants, their places."""
        for number, at_ns in enumerate(intended_ns, first):
            lane = number % self._lanes
            if self._sent[lane] and at_ns - self._begun_ns[lane] >= self._retire_ns:
                self._renew(lane)
            seq = self._seqs[lane]
            self._begun_ns[lane] = self._begun_ns[lane] if seq else at_ns
            self._seqs[lane] = seq + 1
            self._places[number] = (self._live[lane][0], seq)

    def sent(self, number: int) -> Place:
        """The register and the seq of a write that is sent now."""
        self._sent[number % self._lanes] = True
        return self._places[number]

    def retire(self, lane: int) -> None:
        """Have the lane go on with a new register, if anything was sent to the one it has."""
        if self._sent[lane]:
            self._renew(lane)

    def settle(self, numbers: Ints) -> tuple[Ints, Ints]:
        """The registers and the seqs of writes that have their outcome; they are forgotten here."""
        places = np.array([self._places.pop(number) for number in numbers.tolist()], np.int64).reshape(-1, 2)
        return places[:, 0], places[:, 1]

    def to_read(self, number: int) -> int:
        """The register of read `number`: over the lanes in turn, the one written to and the one before."""
        live = self._live[number % self._lanes]
        return live[number // self._lanes % len(live)]

    def _renew(self, lane: int) -> None:
        self._live[lane] = (self._declared(), self._live[lane][0])
        self._seqs[lane], self._sent[lane] = 0, False

    def _declared(self) -> int:
        self.count += 1
        return self._new()
