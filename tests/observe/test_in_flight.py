"""What is in flight, against a plain set."""

import random

import numpy as np
import pytest

from chaosdrills.core.history import Ints
from chaosdrills.errors import InternalError
from chaosdrills.observe import in_flight
from chaosdrills.observe.in_flight import InFlight


def numbers(*values: int) -> Ints:
    return np.array(values, np.int64)


def test_operations_are_numbered_in_order_and_settled_in_any() -> None:
    flight = InFlight()
    assert (flight.count, flight.oldest_ns(), list(flight.numbers())) == (0, None, [])
    assert [flight.add([10, 20]), flight.add([]), flight.add([30])] == [0, 2, 2]
    assert (flight.count, flight.oldest_ns()) == (3, 10)
    assert list(flight.settle(numbers(2, 0))) == [30, 10]
    assert (flight.count, flight.oldest_ns(), list(flight.numbers())) == (1, 20, [1])
    assert list(flight.settle(numbers(1))) == [20]
    assert (flight.count, flight.oldest_ns(), list(flight.numbers())) == (0, None, [])
    assert flight.add([40]) == 3
    assert flight.oldest_ns() == 40


@pytest.mark.parametrize("wrong", [-1, 0, 2, 3])
def test_what_is_not_in_flight_is_not_settled(wrong: int) -> None:
    flight = InFlight()
    flight.add([10, 20])
    flight.settle(numbers(0))
    with pytest.raises(InternalError, match="not in flight"):
        flight.settle(numbers(1, wrong))
    assert list(flight.numbers()) == [1]


def test_settled_operations_are_forgotten_and_numbers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "FORGET", 50)
    choice = random.Random(3)
    flight, expected = InFlight(), dict[int, int]()
    for step in range(400):
        times = [1000 * step + k for k in range(choice.randrange(8))]
        first = flight.add(times)
        expected.update({first + at: time for at, time in enumerate(times)})
        chosen = choice.sample(sorted(expected), len(expected) // 2)
        assert flight.settle(numbers(*chosen)).tolist() == [expected.pop(number) for number in chosen]
        assert flight.oldest_ns() == (expected[min(expected)] if expected else None)
        assert flight.numbers().tolist() == sorted(expected)
        assert flight.count == len(expected)
    assert len(flight._settled) < 300
