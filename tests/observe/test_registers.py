"""Which register each write goes to, and which are read."""

from itertools import count

import numpy as np

from chaosdrills.core.history import NS
from chaosdrills.observe.registers import Registers

MS = NS // 1000


def registers(lanes: int = 2) -> Registers:
    """Registers that are retired after a second."""
    numbers = count()
    return Registers(lanes, NS, lambda: next(numbers))


def taken(found: Registers, first: int, *due_ms: int) -> list[tuple[int, int]]:
    """The places of writes that are sent as soon as they are due."""
    places = []
    for number, at_ms in enumerate(due_ms, first):
        found.take(number, [at_ms * MS])
        places.append(found.sent(number))
    return places


def test_each_lane_has_a_register_of_its_own_which_is_retired_after_a_second() -> None:
    found = registers()
    assert taken(found, 0, 0, 5, 500, 505, 999, 1004, 1000, 1005) == [
        (0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 0), (3, 0),
    ]  # fmt: skip
    assert found.count == 4


def test_a_lost_connection_retires_a_register_that_was_sent_to_and_no_other() -> None:
    found = registers()
    taken(found, 0, 0, 0)
    found.retire(0)
    found.retire(0)
    assert taken(found, 2, 10, 10) == [(2, 0), (1, 1)]
    assert found.count == 3


def test_while_nothing_can_be_sent_a_register_stays() -> None:
    found = registers(1)
    taken(found, 0, 0)
    found.retire(0)
    found.take(1, [at_s * NS for at_s in range(1, 21)])
    assert found.count == 2
    assert taken(found, 21, 21_000) == [(1, 20)]
    assert taken(found, 22, 21_005) == [(2, 0)], "it was begun long ago, and now there is something in it"


def test_places_are_told_once_in_any_order() -> None:
    found = registers()
    found.take(0, [0, 0, 0, 0])
    streams, seqs = found.settle(np.array([3, 0]))
    assert (streams.tolist(), seqs.tolist()) == ([1, 0], [1, 0])
    streams, seqs = found.settle(np.array([1, 2]))
    assert (streams.tolist(), seqs.tolist()) == ([1, 0], [0, 1])
    assert found._places == {}


def test_reads_go_over_the_lanes_in_turn_to_this_register_and_the_one_before() -> None:
    found = registers()
    assert [found.to_read(number) for number in range(4)] == [0, 1, 0, 1]
    taken(found, 0, 0, 0, 1000)
    assert [found.to_read(number) for number in range(6)] == [2, 1, 0, 1, 2, 1]
