"""Live figures from literal operations."""

import numpy as np

from chaosdrills.core.history import NO_SEQ, NO_TIME, NS, Ints, Outcome
from chaosdrills.observe.figures import MAX_STEPS, Age, Bins, Figures, RegisterFigures

MS = NS // 1000
OK, FAILED, UNKNOWN = (int(it) for it in Outcome)


def table(*rows: tuple[int, int, float, float, int]) -> Ints:
    """Rows of (stream, seq, invoked s, completed s, outcome)."""
    return np.array([(s, q, round(i * NS), round(c * NS), o) for s, q, i, c, o in rows], np.int64).reshape(-1, 5)


def punctual(streams: int, begin_s: float, end_s: float, rate: int, first_seq: int = 0) -> Ints:
    """Good operations over all streams in turn, each answered after 2 ms."""
    count = round((end_s - begin_s) * rate)
    rows = [
        (k % streams, first_seq + k // streams, begin_s + k / rate, begin_s + k / rate + 0.002, OK)
        for k in range(count)
    ]
    return table(*rows)


def figures_of(*tables: Ints, streams: int = 2) -> Figures:
    figures = Figures(streams, NS, NS // 2)
    for it in tables:
        figures.attempts(it[:, 2])
        figures.writes(it)
    return figures


def test_steady_service() -> None:
    figures = figures_of(punctual(2, 100, 110, 200))
    assert figures.at(110 * NS, 2.0, None) == {
        "acked": 2000,
        "failed": 0,
        "unknown": 0,
        "per_s": 200.0,
        "bad_per_s": 0.0,
        "bad_share": 0.0,
        "since_last_ack_s": 0.003,
        "silent_s": 0.0,
        "age_s": None,
        "clean_s": 9.998,
        "clean_longest_s": 9.998,
    }


def test_an_outage_shows_before_anything_is_answered() -> None:
    figures = figures_of(punctual(2, 100, 110, 200))
    figures.attempts(np.arange(110 * NS, 114 * NS, 5 * MS))
    seen = figures.at(114 * NS, 2.0, 110 * NS)
    assert (seen["per_s"], seen["bad_per_s"], seen["clean_s"]) == (0.0, 200.0, 0.0)
    assert seen["bad_share"] == 1.0
    assert (seen["since_last_ack_s"], seen["silent_s"]) == (4.003, 4.008)
    assert seen["clean_longest_s"] == 9.998
    assert figures.at(110 * NS + MS, 2.0, 110 * NS)["clean_s"] == 9.999


def test_late_acknowledgements_are_bad_and_end_the_clean_span() -> None:
    late = table((0, 1000, 110.0, 113.0, OK), (1, 1000, 110.005, 113.0, OK))
    figures = figures_of(punctual(2, 100, 110, 200), late, punctual(2, 113, 115, 200, 1001))
    seen = figures.at(115 * NS, 1.0, None)
    assert seen["acked"] == 2402
    assert seen["clean_s"] == 4.995
    assert seen["clean_longest_s"] == 9.998


def test_failed_and_unknown_operations_are_counted_and_bad() -> None:
    bad = table((0, 1000, 110.0, 110.0, FAILED), (1, 1000, 110.005, 110.5, UNKNOWN))
    bad[1, 3] = NO_TIME
    figures = figures_of(punctual(2, 100, 110, 200), bad, punctual(2, 110.01, 112, 200, 1001))
    seen = figures.at(112 * NS, 2.0, None)
    assert (seen["acked"], seen["failed"], seen["unknown"]) == (2398, 1, 1)
    assert seen["bad_per_s"] == 1.0
    assert seen["bad_share"] == 0.005
    assert seen["clean_s"] == 1.995


def test_one_silent_stream_of_two() -> None:
    alone = punctual(1, 110, 115, 100, 1000)
    figures = figures_of(punctual(2, 100, 110, 200), alone)
    seen = figures.at(115 * NS, 1.0, None)
    assert seen["since_last_ack_s"] < 0.02
    assert 4.9 < seen["silent_s"] < 5.1


def test_streams_without_an_acknowledgement_are_named() -> None:
    figures = figures_of(table((1, 0, 1.0, 1.1, OK), (0, 0, 1.0, 1.2, FAILED)), streams=3)
    assert figures.silent_streams == [0, 2]
    assert figures.at(2 * NS, 1.0, None)["clean_s"] == 0.9


def test_nothing_yet() -> None:
    seen = Figures(2, NS, NS).at(50 * NS, 2.0, None)
    assert (seen["per_s"], seen["since_last_ack_s"], seen["clean_s"], seen["age_s"]) == (0.0, None, 0.0, None)
    assert seen["bad_share"] is None, "nothing was due"


def test_age_is_that_of_the_oldest_write_that_no_reader_saw() -> None:
    figures = figures_of(punctual(2, 100, 101, 200))
    figures.reads(table((0, 99, 101.0, 101.0, OK), (1, NO_SEQ, 101.0, 101.0, OK)))
    assert figures.at(105 * NS, 1.0, None)["age_s"] == 4.995
    figures.reads(table((1, 99, 105.0, 105.0, OK)))
    assert figures.at(105 * NS, 1.0, None)["age_s"] == 0.0


def test_age_of_one_stream_step_by_step() -> None:
    age = Age()
    age.acknowledged(9, 1000)
    age.acknowledged(19, 2000)
    assert age.at(5000) == 4000
    age.seen(9)
    assert age.at(5000) == 3000
    age.seen(19)
    assert age.at(5000) == 0
    age.acknowledged(15, 3000)
    assert age.at(5000) == 0


def test_a_reader_that_never_sees_anything_costs_bounded_memory() -> None:
    age = Age()
    for step in range(3 * MAX_STEPS):
        age.acknowledged(step, step)
    assert len(age._steps) == MAX_STEPS
    assert age.at(10 * MAX_STEPS) == 10 * MAX_STEPS
    age.seen(3 * MAX_STEPS - 1)
    assert age.at(10 * MAX_STEPS) == 0


def test_bins_forget_what_is_over_a_minute_old() -> None:
    bins = Bins()
    bins.add(np.array([0, 1, 59 * NS]))
    assert bins.between(0, 60 * NS) == 3
    bins.add(np.array([100 * NS]))
    assert (bins.between(0, 59 * NS), bins.between(59 * NS, 60 * NS), bins.between(100 * NS, 101 * NS)) == (0, 1, 1)
    bins.add(np.array([0, 40 * NS, 100 * NS]))
    assert bins.between(0, 200 * NS) == 3
    bins.add(np.array([100_000 * NS]))
    assert bins.between(0, 200_000 * NS) == 1


def test_registers_are_looked_at_together_and_their_reads_are_load() -> None:
    figures = RegisterFigures(2, NS, NS // 2)
    for second in range(100, 110):
        writes = punctual(1, second, second + 1, 100)
        writes[:, 0] = second  # a register a second
        figures.attempts(writes[:, 2])
        figures.writes(writes)
    assert figures.silent_streams == [1]
    figures.reads(punctual(1, 100, 110, 50))
    assert figures.silent_streams == []
    steady = figures.at(110 * NS, 2.0, None)
    assert (steady["acked"], steady["per_s"], steady["bad_share"], steady["age_s"]) == (1000, 100.0, 0.0, None)
    assert (steady["silent_s"], steady["clean_s"]) == (0.0, 9.998)

    figures.attempts(np.arange(110 * NS, 114 * NS, 10 * MS))
    figures.writes(punctual(1, 110, 114, 100))
    figures.reads(table(*[(0, NO_SEQ, at, at + 0.5, FAILED) for at in (110.5, 111.5, 112.5)]))
    dead = figures.at(114 * NS, 2.0, None)
    assert (dead["acked"], dead["failed"], dead["per_s"]) == (1400, 0, 100.0)
    assert dead["bad_per_s"] == 1.0
    assert (dead["silent_s"], dead["clean_s"]) == (4.018, 1.5)
