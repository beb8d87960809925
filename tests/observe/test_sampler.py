"""Sampling beside the load: what becomes of each look, of instants that a source knows, and of a page of Prometheus."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaosdrills.core.history import MOST_COUNT, NO_SEQ, NO_TIME, Outcome
from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.counts import NotSeen, Seen
from chaosdrills.observe.ledger import LedgerPage, Sheet
from chaosdrills.observe.sampler import Sampler
from chaosdrills.observe.watches import watches_of
from tests.observe.web import ANSWERS, Web, serving, whole

COUNT, INVOKED, COMPLETED, OUTCOME = 1, 2, 3, 4


class Samples:
    """Sampling that is under way: its sampler, and what was noted."""

    def __init__(self, *given: dict[str, Any]) -> None:
        self._sheets: list[Sheet] = []
        self.sampler = Sampler(watches_of(given))
        self.sampler.begin(lambda: LedgerPage(self._sheets.append, lambda: 0))

    def standing(self, name: str = "a") -> dict[str, Any]:
        return self.sampler.standings()[name]

    def finish(self) -> np.ndarray[Any, Any]:
        self.sampler.finish(5)
        return np.concatenate([np.zeros((0, 5), np.int64), *(sheet.samples for sheet in self._sheets)])


def counting(path: Path, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "source": "tests.observe.counting:Counting", "arguments": {"path": str(path)}, **more}


def test_each_look_is_noted_also_one_that_saw_nothing(tmp_path: Path) -> None:
    path = tmp_path / "count"
    samples = Samples(counting(path, every_s=0.02))
    assert wait_until(lambda: samples.standing() == {"count": None, "why": "it is gone"}, 10)
    path.touch()
    assert wait_until(lambda: samples.standing() == {"count": 0, "why": ""}, 10)
    path.unlink()
    assert wait_until(lambda: samples.standing()["why"] == "it is gone", 10)
    table = samples.finish()
    kinds = {tuple(row) for row in table[:, [COUNT, OUTCOME]].tolist()}
    assert kinds == {(NO_SEQ, Outcome.UNKNOWN), (0, Outcome.OK)}
    assert set(table[table[:, COUNT] == NO_SEQ, COMPLETED]) == {NO_TIME}
    assert (np.diff(table[:, INVOKED]) > 0).all()


def test_a_look_is_due_by_a_schedule_and_the_last_one_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.touch()
    samples = Samples(counting(path, every_s=1.0))
    assert wait_until(lambda: samples.standing()["count"] == 0, 10)
    ended_ns = boottime_ns()
    table = samples.finish()
    assert boottime_ns() - ended_ns < 900_000_000, "the end waits for no look that is due later"
    assert (len(table), bool(table[-1, INVOKED] >= ended_ns)) == (2, True)


def test_instants_that_a_source_knows_are_bracketed(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.touch()
    samples = Samples(counting(path, every_s=0.5))
    assert wait_until(lambda: samples.standing()["count"] == 0, 10)
    first, second = boottime_ns(), boottime_ns() + 1_000_000
    path.write_text(f"{first}\n{second}\n1\n{2**61}\n")
    table = samples.finish()
    (begun,) = table[table[:, COUNT] == 0][:1, INVOKED]
    (end,) = table[-1:, INVOKED]
    rows = [(count, at) for count, at in table[:, [COUNT, INVOKED]].tolist() if begun < at]
    assert (1, first) in rows
    assert (0, first - 1) in rows
    assert (2, min(second, end)) in rows
    assert (3, begun + 1) in rows, "what lies before the look before is of another clock"
    assert (4, end) in rows, "so is what lies in the future"
    assert table[:, INVOKED].min() >= begun - 1


def test_what_was_there_at_the_first_look_has_no_instants(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("1\n2\n3\n")
    samples = Samples(counting(path))
    assert wait_until(lambda: samples.standing()["count"] == 3, 10)
    assert set(samples.finish()[:, COUNT]) == {3}


def test_one_watch_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    (tmp_path / "count").touch()
    with serving() as web:
        web.mode = "hang"
        page = {"name": "page", "url": web.url, "metric": "up", "timeout_s": 1}
        samples = Samples(page, counting(tmp_path / "count"))
        assert wait_until(lambda: samples.standing()["count"] == 0, 10)
        assert samples.standing("page")["count"] is None
        assert wait_until(lambda: samples.standing("page")["why"] == "no answer within 1 s", 10)
        samples.finish()


def test_a_source_that_fails_in_a_way_of_its_own_is_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, timeout_s: float) -> Seen:
        raise ZeroDivisionError

    monkeypatch.setattr("tests.observe.counting.Counting.look", broken)
    samples = Samples(counting(tmp_path / "count"))
    assert wait_until(lambda: samples.standing()["why"] == "a defect; see observer.log", 10)
    assert set(samples.finish()[:, OUTCOME]) == {Outcome.UNKNOWN}


def seen_on(web: Web, metric: str) -> Any:
    source = watches_of([{"name": "a", "url": web.url, "metric": metric}])[0].begin()
    try:
        return source.look(1)
    finally:
        source.close()


@pytest.mark.parametrize(
    ("body", "metric", "found"),
    [
        (b"tries_total 3\n", "tries_total", 3),
        (b"tries_total 3.0\n", "tries_total", 3),
        (b'tries_total{n="1"} 3\ntries_total{n="2"} 4\n', "tries_total", 7),
        (b'tries_total{n="1"} 3\ntries_total{n="2"} 4\n', 'tries_total{n="2"}', 4),
        (b"tries_total 3.5\n", "tries_total", "tries_total is no count"),
        (b"tries_total -1\n", "tries_total", "tries_total is no count"),
        (b"tries_total NaN\n", "tries_total", "tries_total is no count"),
        (b"tries_total +Inf\n", "tries_total", "tries_total is no count"),
        (f"tries_total {MOST_COUNT}\n".encode(), "tries_total", "tries_total is no count"),
        (f'a{{b="1"}} {MOST_COUNT - 1}\na{{b="2"}} 1\n'.encode(), "a", "a is no count"),
        (b"other 3\n", "tries_total", "no sample of tries_total"),
        (b"tries_total x\n", "tries_total", "a malformed sample of tries_total"),
        (b"\xff\xfe", "tries_total", "a malformed sample of tries_total"),
    ],
)
def test_a_count_on_a_page(monkeypatch: pytest.MonkeyPatch, body: bytes, metric: str, found: Any) -> None:
    monkeypatch.setitem(ANSWERS, "good", whole(body))
    with serving() as web:
        if isinstance(found, int):
            assert seen_on(web, metric) == Seen(found)
            return
        with pytest.raises(NotSeen, match=found) as caught:
            seen_on(web, metric)
    assert caught.value.outcome == Outcome.FAILED


@pytest.mark.parametrize(
    ("mode", "why", "outcome"),
    [
        ("bad", "status 503", Outcome.FAILED),
        ("garbage", "an answer that is not HTTP", Outcome.FAILED),
        ("silent", "the connection was closed before an answer", Outcome.UNKNOWN),
    ],
)
def test_a_page_that_does_not_answer_well(mode: str, why: str, outcome: Outcome) -> None:
    with serving() as web:
        web.mode = mode
        with pytest.raises(NotSeen, match=why) as caught:
            seen_on(web, "up")
        assert caught.value.outcome == outcome
        web.refuse()
        with pytest.raises(NotSeen, match="connection refused"):
            seen_on(web, "up")


def test_no_thread_is_left(tmp_path: Path) -> None:
    samples = Samples(*(counting(tmp_path / "count", f"w{number}") for number in range(3)))
    samples.finish()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("watch ")]
