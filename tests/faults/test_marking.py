"""Marks through whatever marker is registered."""

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import marking
from chaosdrills.host.clock import boottime_ns


def test_without_a_marker_nothing_is_marked():
    marking.mark("fault_begin", "kill")
    assert marking.drill() == ""


def test_a_mark_carries_its_name_its_label_and_the_senders_instant():
    kept = []
    marking.set_marker(lambda *mark: kept.append(mark), "kafka-broker-loss")
    before = boottime_ns()
    marking.mark("fault_begin", "kill -9 of broker 2")
    [(name, label, at_ns)] = kept
    assert (name, label) == ("fault_begin", "kill -9 of broker 2")
    assert before <= at_ns <= boottime_ns()
    assert marking.drill() == "kafka-broker-loss"


def test_a_marker_that_fails_in_any_way_is_one_error():
    def broken(name, label, at_ns):
        raise BrokenPipeError("observer is dead")

    marking.set_marker(broken)
    with pytest.raises(UnavailableError) as raised:
        marking.mark("fault_begin", "kill")
    assert raised.value.message == "the observer did not record the mark fault_begin (kill): observer is dead"
    assert isinstance(raised.value.__cause__, BrokenPipeError)
