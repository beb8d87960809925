"""Pages that are handed over, and the scribe that copies them."""

import threading
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chaosdrills.core.history import NO_SEQ, NO_TIME, NS, Outcome
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe import ledger as module
from chaosdrills.observe.ledger import Ledger
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.record import RecordWriter
from chaosdrills.observe.workload import Survivors


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    writer = RecordWriter.create(
        tmp_path / "record", service="toy", stream_kind="log", started_at="2026-11-23T08:00:00Z", origin_ns=0
    )
    found = Ledger(writer, ["a", "b"], NS, NS // 2, ["app"])
    yield found
    found.close()


def test_what_was_noted_is_in_the_record_once_and_in_order(ledger: Ledger, tmp_path: Path) -> None:
    now_ns = boottime_ns()
    page = ledger.page()
    page.attempt([now_ns, now_ns + 5])
    page.write(0, 0, now_ns, now_ns + 1, Outcome.OK)
    page.write_all(np.array([[1, 0, now_ns + 5, now_ns + 9, Outcome.FAILED]]))
    page.read(0, NO_SEQ, now_ns, now_ns + 3, Outcome.OK)
    ledger.write_up()
    assert ledger.totals() == {"acked": 0, "failed": 0, "unknown": 0}, "a page was copied that was not handed over"
    page.close()
    ledger.mark("load_end", now_ns + 10)
    assert ledger.totals() == {"acked": 1, "failed": 1, "unknown": 0}
    assert ledger.silent == ["b"]
    ledger.end()
    ledger.write_up()
    history = read_record(tmp_path / "record")
    assert (len(history.writes), len(history.reads), len(history.marks)) == (2, 1, 1)
    assert history.end_ns is not None


def test_polls_are_no_load(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.standings() == {"app": {"good": None, "bad_s": 0.0}}
    now_ns = boottime_ns()
    page = ledger.page()
    page.poll(0, now_ns, now_ns + 1, Outcome.OK)
    page.poll(0, now_ns + 5, NO_TIME, Outcome.UNKNOWN)
    page.close()
    ledger.write_up()
    assert ledger.totals() == {"acked": 0, "failed": 0, "unknown": 0}
    assert ledger.silent == ["a", "b"]
    assert ledger.standings()["app"]["good"] is False
    ledger.end()
    history = read_record(tmp_path / "record")
    assert (history.poll_streams, history.polls.outcome.tolist()) == (("app",), [Outcome.OK, Outcome.UNKNOWN])
    assert len(history.writes) == len(history.reads) == 0


def test_a_page_is_handed_over_when_it_is_old_or_full(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_NS", 3600 * NS)
    monkeypatch.setattr(module, "TURN_ROWS", 3)
    page = ledger.page()
    for seq in range(3):
        ledger.write_up()
        assert ledger.totals()["acked"] == 0
        page.write(0, seq, 1, 2, Outcome.OK)
        page.turn()
    ledger.write_up()
    assert ledger.totals()["acked"] == 3
    page.write(0, 3, 1, 2, Outcome.OK)
    monkeypatch.setattr(module, "TURN_NS", 0)
    page.turn()
    ledger.write_up()
    assert ledger.totals()["acked"] == 4


def test_pages_do_not_pile_up_without_bound(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAGES", 5)
    page = ledger.page()
    for seq in range(100):
        page.write(0, seq, 1, 2, Outcome.OK)
        page.close()
        assert ledger._handed_over.qsize() <= 5
    assert ledger.totals()["acked"] >= 90


def test_threads_with_pages_of_their_own_lose_nothing(ledger: Ledger, tmp_path: Path) -> None:
    def note(stream: int) -> None:
        page = ledger.page()
        for seq in range(20_000):
            page.write(stream, seq, 1, 2, Outcome.OK)
            page.turn()
        page.close()

    threads = [threading.Thread(target=note, args=(stream,)) for stream in (0, 1)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ledger.write_up()
    ledger.end()
    history = read_record(tmp_path / "record")
    for stream in (0, 1):
        assert (history.writes.seq[history.writes.stream == stream] == np.arange(20_000)).all()


@pytest.fixture
def registers(tmp_path: Path) -> Iterator[Ledger]:
    writer = RecordWriter.create(
        tmp_path / "registers", service="toy", stream_kind="register", started_at="2026-11-23T08:00:00Z", origin_ns=0
    )
    found = Ledger(writer, [], NS, NS // 2, pools=["writes", "reads"])
    yield found
    found.close()


def test_registers_come_while_the_load_goes_on(registers: Ledger, tmp_path: Path) -> None:
    load, reader = registers.page(), registers.page()
    assert registers.silent == ["writes", "reads"]
    assert [load.new_stream(), load.new_stream()] == [0, 1]
    load.write(0, 0, 1, 2, Outcome.OK)
    reader.read(1, NO_SEQ, 1, 2, Outcome.OK)
    reader.close()  # before the page of those who declared it
    registers.write_up()
    assert registers.silent == ["writes"]
    load.close()
    assert load.new_stream() == 2, "never written to"
    registers.mark("drained", 5)
    assert registers.silent == []
    registers.final(Survivors(2, 6, array("q")))
    registers.end()
    history = read_record(tmp_path / "registers")
    assert history.streams == ("0", "1", "2")
    assert (history.writes.stream.tolist(), history.reads.stream.tolist()) == ([0], [1])
    assert {stream: final.seqs.tolist() for stream, final in history.finals.items()} == {2: []}


def test_several_threads_may_declare_streams_at_once(registers: Ledger, tmp_path: Path) -> None:
    def note() -> None:
        page = registers.page()
        for _ in range(3_000):
            page.write(page.new_stream(), 0, 1, 2, Outcome.OK)
            page.turn()
        page.close()

    threads = [threading.Thread(target=note) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        registers.write_up()
    registers.end()
    history = read_record(tmp_path / "registers")
    assert history.streams == tuple(map(str, range(6_000)))
    assert sorted(history.writes.stream.tolist()) == list(range(6_000))
