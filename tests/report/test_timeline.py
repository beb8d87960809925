"""Binning conserves what was recorded; ages and percentiles agree with a slow, obvious count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaosdrills.core.history import NO_SEQ, NO_TIME, NS, History, Mark, Operations, Outcome, to_ns
from chaosdrills.core.intervals import FAR_NS
from chaosdrills.report.ages import Ages, least_over
from chaosdrills.report.timeline import Observed, bin_edges, measured, whole
from tests.report import samples

Row = tuple[int, int, int, int, int]  # stream, seq, invoked, completed, outcome
DAY_NS = 86_400 * NS
INSTANTS = st.integers(-NS, DAY_NS)


def record(
    writes: list[Row],
    reads: list[Row] | None = None,
    marks: tuple[Mark, ...] = (),
    kind: str = "log",
) -> History:
    streams = tuple(str(number) for number in range(3))
    started = "2026-11-23T08:00:00Z"
    return History("kafka", kind, started, streams, Operations.of(writes), Operations.of(reads or []), marks)  # type: ignore[arg-type]


@st.composite
def operations(draw: st.DrawFn) -> list[Row]:
    rows = []
    for seq in range(draw(st.integers(1, 40))):
        invoked, outcome = draw(INSTANTS), draw(st.sampled_from(Outcome))
        completed = invoked + draw(st.integers(0, 30 * NS))
        if outcome is Outcome.UNKNOWN and draw(st.booleans()):
            completed = NO_TIME
        rows.append((draw(st.integers(0, 2)), seq, invoked, completed, int(outcome)))
    return rows


@settings(deadline=None)
@given(
    operations(),
    operations(),
    st.lists(INSTANTS, max_size=2),
    st.integers(3, 300),
    st.sampled_from(["log", "register"]),
)
def test_bins_conserve_operations(
    writes: list[Row],
    reads: list[Row],
    faults: list[int],
    bins: int,
    kind: str,
) -> None:
    history = record(writes, reads, tuple(Mark("fault_begin", at) for at in faults), kind)
    window = whole(history)
    assert window is not None
    times = Observed.of(history, 1.0, 5.0).timeline(window, bins)
    every = measured(history)
    late = (every.outcome == Outcome.OK) & (every.completed_ns - every.invoked_ns > NS)
    assert 1 <= len(times.acks) <= bins
    assert times.acks.sum() == (every.outcome == Outcome.OK).sum()
    assert times.failed.sum() == (every.outcome == Outcome.FAILED).sum()
    assert times.unknown.sum() == (every.outcome == Outcome.UNKNOWN).sum()
    assert times.slow.sum() == late.sum()
    assert times.bad.sum() == (every.outcome != Outcome.OK).sum() + late.sum()


@settings(deadline=None)
@given(INSTANTS, INSTANTS, st.none() | INSTANTS, st.integers(3, 300))
def test_edges_cover_the_window_and_meet_the_fault(one: int, other: int, origin: int | None, bins: int) -> None:
    begin, end = sorted((one, other))
    edges = bin_edges((begin, end), origin, bins)
    widths = set(np.diff(edges).tolist())
    assert len(widths) == 1
    assert len(edges) - 1 <= bins
    assert edges[0] <= begin <= end < edges[-1]
    assert origin is None or (origin - edges[0]) % widths.pop() == 0


def test_a_cut_bin_is_no_dip_and_no_load_is_no_rate() -> None:
    history = samples.history(samples.load(stalled=0, length_s=59.9), 59.9)
    window = whole(history)
    assert window is not None
    rates = Observed.of(history, 1.0, 5.0).timeline((window[0], to_ns(62)), 300).acks_per_s
    assert np.nanmin(rates[1:118]) > 190
    assert np.isnan(rates[-1])


def test_latency_is_ranked_within_its_bin() -> None:
    noise = np.random.default_rng(3)
    rows = [(0, n, int(at), int(at) + int(took), 0) for n, (at, took) in enumerate(noise.integers(1, 10**9, (500, 2)))]
    history = record(rows)
    times = Observed.of(history, 1.0, 5.0).timeline((0, NS - 1), 12)
    for index, (low, high) in enumerate(zip(times.edges_ns, times.edges_ns[1:], strict=False)):
        inside = sorted((done - due) / NS for _, _, due, done, _ in rows if low <= due < high)
        if not inside:
            assert np.isnan(times.max_s[index])
            continue
        ranks = [-(-len(inside) * percent // 100) - 1 for percent in (50, 99, 100)]
        shown = [times.p50_s[index], times.p99_s[index], times.max_s[index]]
        assert shown == pytest.approx([inside[rank] for rank in ranks])


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Writes with seqs in the order of invocation, and readers that may be slow, skip, fail or find nothing."""
    writes, reads = [], []
    for stream in range(draw(st.integers(1, 3))):
        dues = sorted(draw(st.lists(st.integers(0, 200), min_size=1, max_size=12)))
        for seq, due in enumerate(dues):
            done = due + draw(st.integers(0, 60))
            writes.append(
                (stream, seq, due, done, int(draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.FAILED]))))
            )
            if draw(st.booleans()):
                at = draw(st.integers(due, 260))
                found = draw(st.sampled_from([seq, seq, NO_SEQ]))
                reads.append((stream, found, at, at + draw(st.integers(0, 20)), int(draw(st.sampled_from([0, 0, 1])))))
    return writes, reads


def age_at(at: int, writes: list[Row], reads: list[Row]) -> int:
    """The definition, said again: the greatest age over streams at one instant."""
    greatest = 0
    for stream in {row[0] for row in writes}:
        seen = max((row[1] for row in reads if row[0] == stream and row[3] <= at and row[4] == 0), default=-1)
        pending = [row[2] for row in writes if row[0] == stream and row[4] == 0 and row[1] > seen and row[3] <= at]
        greatest = max(greatest, at - min(pending, default=at))
    return greatest


@settings(deadline=None, max_examples=60)
@given(logs(), st.integers(5, 60))
def test_ages_are_those_of_the_definition(drawn: tuple[list[Row], list[Row]], width: int) -> None:
    writes, reads = drawn
    ages = Ages.of(record(writes, [*reads, (0, NO_SEQ, 0, 0, 0)]), load_end_ns=300, fresh_ns=10**6)
    assert ages is not None
    edges = np.arange(0, 301, width, dtype=np.int64)
    by_instant = [age_at(at, writes, reads) for at in range(-1, 301)]
    for low, high, shown in zip(edges[:-1].tolist(), edges[1:].tolist(), ages.over(edges) * NS, strict=True):
        inside = by_instant[low + 1 : high + 1]  # [low, high); an age grows by one more until it falls
        around = by_instant[low : high + 2]
        assert max(inside) <= round(shown) <= max(around) + 1


def test_a_write_that_was_read_before_its_acknowledgement_is_never_unseen() -> None:
    ages = Ages.of(record([(0, 0, 0, 9 * NS, 0)], [(0, 0, NS, 2 * NS, 0)]), 10 * NS, 60 * NS)
    assert ages is not None
    assert ages.over(np.array([0, 5 * NS, 10 * NS])).tolist() == [0.0, 0.0]


def test_a_silent_reader_has_no_age() -> None:
    writes = [(0, seq, seq * NS, seq * NS + 1000, 0) for seq in range(30)]
    reads = [(0, seq, seq * NS + 2000, seq * NS + 3000, 0) for seq in range(10)]
    times = Observed.of(record(writes, reads), 1.0, 5.0).timeline((0, 30 * NS), 300)
    assert times.age_s is not None
    known = times.edges_ns[1:][~np.isnan(times.age_s)]
    assert known[-1] <= 15 * NS
    assert np.nanmax(times.age_s) == pytest.approx(4.0, abs=0.2)


def test_a_register_and_a_log_without_readers_have_no_age() -> None:
    writes = [(0, 0, 0, 1000, 0)]
    assert Observed.of(record(writes), 1.0, 5.0).ages is None
    assert Observed.of(record(writes, writes, kind="register"), 1.0, 5.0).ages is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 20), st.integers(0, 20)), max_size=20))
def test_least_over_ranges(rows: list[tuple[int, int, int]]) -> None:
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), 3)
    found = least_over(columns[:, 0], columns[:, 1], columns[:, 2], 20)
    slow = [min((value for value, low, stop in rows if low <= place < stop), default=FAR_NS) for place in range(20)]
    assert found.tolist() == slow


def test_nothing_recorded_has_no_window() -> None:
    assert whole(record([])) is None
