"""The schedule and the distribution of lateness, with literal times."""

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.observe.pacing import CHUNK, ClosedLoop, Lateness, OpenLoop, schedule

MS = 1_000_000
ROOM = 10_000


def test_an_open_loop_is_due_at_start_plus_k_over_rate() -> None:
    plan = OpenLoop(1_000, 200)
    assert [plan.intended_ns(k) - 1_000 for k in range(4)] == [0, 5 * MS, 10 * MS, 15 * MS]
    assert plan.take(999, ROOM) == []
    assert plan.take(1_000, ROOM) == [1_000]
    assert plan.take(1_000 + 5 * MS - 1, ROOM) == []
    assert plan.take(1_000 + 5 * MS, ROOM) == [1_000 + 5 * MS]


def test_a_rate_that_does_not_divide_a_second_adds_up_no_error() -> None:
    plan = OpenLoop(0, 3)
    assert [plan.intended_ns(k) for k in range(4)] == [0, 333_333_333, 666_666_666, 1_000_000_000]
    assert plan.intended_ns(3 * 86_400) == 86_400 * 1_000_000_000


@pytest.mark.parametrize("rate", [0.5, 3, 7, 200, 999.5, 30_000])
def test_due_is_the_number_of_operations_intended_by_then(rate: float) -> None:
    plan = OpenLoop(50, rate)
    for k in range(0, 2_000, 7):
        at_ns = plan.intended_ns(k)
        assert plan.due(at_ns) == k + 1
        assert plan.due(at_ns - 1) == k


def test_a_late_scheduler_gets_all_that_was_missed_with_its_intended_times() -> None:
    plan = OpenLoop(0, 1_000)
    assert plan.take(0, ROOM) == [0]
    missed = plan.take(4 * MS, ROOM)
    assert missed == [1 * MS, 2 * MS, 3 * MS, 4 * MS]
    assert plan.take(4 * MS, ROOM) == []


def test_a_long_stall_is_given_out_in_chunks_and_nothing_is_skipped() -> None:
    plan = OpenLoop(0, 1_000)
    now_ns = 3_000 * MS
    taken = []
    while chunk := plan.take(now_ns, ROOM):
        assert len(chunk) <= CHUNK
        taken += chunk
    assert taken == [k * MS for k in range(3_001)]


def test_an_open_loop_does_not_wait_for_room() -> None:
    plan = OpenLoop(0, 1_000)
    assert plan.take(2 * MS, 0) == [0, 1 * MS, 2 * MS]


def test_a_clock_that_stands_gives_nothing_twice() -> None:
    plan = OpenLoop(0, 1_000)
    assert plan.take(5 * MS, ROOM) == [k * MS for k in range(6)]
    assert plan.take(3 * MS, ROOM) == []
    assert plan.wait_s(3 * MS) == pytest.approx(0.003)


def test_waiting_is_until_the_next_is_due() -> None:
    plan = OpenLoop(0, 200)
    plan.take(0, ROOM)
    assert plan.wait_s(1 * MS) == pytest.approx(0.004)
    assert plan.wait_s(5 * MS) == 0.0
    assert plan.wait_s(9 * MS) == 0.0


def test_a_closed_loop_fills_the_room_there_is() -> None:
    plan = ClosedLoop()
    assert plan.take(7, 3) == [7, 7, 7]
    assert plan.wait_s(7) > 0
    assert plan.take(8, 0) == []
    assert plan.take(9, CHUNK + 1) == [9] * CHUNK
    assert plan.wait_s(9) == 0


def test_no_rate_is_full_rate() -> None:
    assert isinstance(schedule(0, None), ClosedLoop)
    assert isinstance(schedule(0, 0), ClosedLoop)
    assert isinstance(schedule(0, 200), OpenLoop)


@pytest.mark.parametrize("rate", [-1, 1e-9, 2e6])
def test_a_rate_that_cannot_be_kept_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="cannot be kept"):
        schedule(0, rate)


def test_lateness_is_never_reported_too_low_and_at_most_4_percent_too_high() -> None:
    values_us = [3, 63, 64, 100, 999, 1_000, 4_999, 70_000, 12_345_678]
    for value_us in values_us:
        lateness = Lateness()
        lateness.add(value_us * 1000)
        lateness.add(99 * 60_000_000_000)
        assert value_us / 1000 <= (lateness.quantile_ms(0.5) or 0) <= value_us / 1000 * 1.04


def test_quantiles_of_a_stall_among_punctual_operations() -> None:
    lateness = Lateness()
    for _ in range(98):
        lateness.add(20_000)
    lateness.add(3_000 * MS)
    lateness.add(2_000 * MS)
    assert lateness.as_dict() == {
        "operations": 100,
        "p50_ms": 0.02,
        "p99_ms": pytest.approx(2000, rel=0.04),
        "max_ms": 3000,
    }


def test_no_operations_have_no_lateness_and_early_ones_none() -> None:
    lateness = Lateness()
    assert lateness.as_dict() == {"operations": 0, "p50_ms": None, "p99_ms": None, "max_ms": None}
    lateness.add(-5)
    assert lateness.as_dict() == {"operations": 1, "p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}
