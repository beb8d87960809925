"""The observer as a real process, with a workload in memory: its protocol, and each way in which it can end."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaosdrills.core.history import NO_TIME, NS, History, Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import DrillError, InternalError, UnavailableError, UsageError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.processes import (
    Identity,
    family_of,
    is_alive,
    send_signal,
    this_process,
    wait_gone,
    wait_until,
)
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec
from tests.observe.web import serving

WORKLOAD = "tests.observe.memory_workload:MemoryWorkload"
Start = Callable[..., ObserverSession]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts observers of the memory workload that log and record in `tmp_path`; ends them all."""
    sessions = []

    def start_one(
        rate_per_s: float = 200,
        max_in_flight: int = 1000,
        timeout_s: float = 20,
        polls: Any = (),
        watches: Any = (),
        **more: Any,
    ) -> Any:
        spec = ObserverSpec(
            "drill", "memory", WORKLOAD, tmp_path / "record", more, rate_per_s, max_in_flight,
            eof_drain_s=1.0, polls=polls, watches=watches,
        )  # fmt: skip
        session = ObserverSession.start(spec, tmp_path, timeout_s)
        sessions.append(session)
        return session

    yield start_one
    for session in sessions:
        session.close()
        assert not session.alive


def record(tmp_path: Path) -> History:
    return read_record(tmp_path / "record")


def names(history: History) -> list[str]:
    return [mark.name for mark in history.marks]


def wait_sent(session: ObserverSession, count: int) -> None:
    assert wait_until(lambda: session.snapshot()["acked"] >= count, 20), f"{count} operations were not acknowledged"


def gone(identity: Identity) -> None:
    assert not wait_gone([identity], 15), "the observer does not end"


def test_a_whole_drill(start: Start, tmp_path: Path) -> None:
    session = start(closed=str(tmp_path / "closed"))
    assert session.ready == {"flavour": "memory"}
    wait_sent(session, 100)
    fault_ns = boottime_ns()
    session.mark("fault_begin", "kill nothing", fault_ns)
    session.mark("fault_end")
    said: list[str] = []
    result = session.finish(5, 5, said.append)

    history = record(tmp_path)
    assert names(history) == ["fault_begin", "fault_end", "load_end", "drained"]
    assert history.marks[0].at_ns == fault_ns - session.origin_ns
    assert history.marks[0].label == "kill nothing"
    assert history.end_ns is not None
    assert history.streams == ("a", "b")
    assert (history.header["drill_id"], history.header["flavour"]) == ("drill", "memory")
    assert set(history.writes.outcome) == {Outcome.OK}
    for stream in (0, 1):
        seqs = history.writes.seq[history.writes.stream == stream]
        assert sorted(seqs) == list(range(len(seqs)))
        assert list(history.finals[stream].seqs) == list(range(len(seqs)))
    assert result["sent"] == result["acked"] == len(history.writes)
    assert result["findings"] == {"colour": "blue"}
    assert [(check["name"], check["ok"]) for check in result["checks"]] == [
        ("drained", True),
        ("kept its schedule", True),
        ("kept its colour", True),
        ("read back", True),
    ]
    gone(session.identity)
    assert (tmp_path / "closed").read_text() == "True"


def standing(session: ObserverSession, name: str = "app") -> Any:
    return session.snapshot()["endpoints"][name]


def test_an_endpoint_is_polled_beside_the_load(start: Start, tmp_path: Path) -> None:
    """It is out for a known time, and that is what is measured, to within the resolution."""
    with serving() as web:
        session = start(polls=[{"name": "app", "url": web.url.replace("//", "//user:hush@"), "rate_per_s": 20}])
        assert wait_until(lambda: standing(session)["good"] and session.snapshot()["elapsed_s"] > 2.5, 20)
        session.mark("fault_begin", "break it")
        session.mark("fault_end")
        web.mode, begun_ns = "bad", boottime_ns()
        assert wait_until(lambda: standing(session)["bad_s"] > 1, 20)
        assert standing(session)["why"] == "status 503"
        web.mode, ended_ns = "good", boottime_ns()
        assert wait_until(lambda: standing(session)["good"], 20)
        wait_sent(session, session.snapshot()["acked"] + 500)
        result = session.finish(5, 5)
    history = record(tmp_path)
    found = judge(history, Limits(max_unavailable_s=60), Parameters(stable_s=2, baseline_s=2, watch_s=1))
    assert found.overall.verdict == "met", found.overall
    assert (found.availability.resolution_ns, history.poll_streams) == (NS // 20, ("app",))
    answered_ns = NS // 20  # the server said when it was out, polls say when they were due
    assert abs((found.availability.actual_ns or 0) - (ended_ns - begun_ns)) <= NS // 20 + answered_ns
    assert set(np.diff(np.sort(history.polls.invoked_ns))) == {NS // 20}
    assert history.header["polls"] == {"app": {"rate_per_s": 20.0, "timeout_s": 1.0}}
    assert result["sent"] == result["acked"] == len(history.writes)
    assert {"name": "polls kept their schedule", "ok": True}.items() <= result["checks"][2].items()
    for evidence in (tmp_path / "record", tmp_path / "observer.log"):
        assert b"hush" not in evidence.read_bytes()
    log = (tmp_path / "observer.log").read_text()
    assert "the endpoint app: status 503" in log
    assert "the endpoint app: good" in log


def test_an_endpoint_that_hangs_holds_up_neither_the_load_nor_its_end(start: Start, tmp_path: Path) -> None:
    with serving() as web:
        web.mode = "hang"
        session = start(polls=[{"name": "app", "url": web.url, "timeout_s": 30}])
        wait_sent(session, 300)
        begun = boottime_ns()
        result = session.finish(0.2, 5)
    assert boottime_ns() - begun < 10 * NS
    history = record(tmp_path)
    assert history.end_ns is not None
    assert set(history.writes.outcome) == {Outcome.OK}
    assert set(history.polls.outcome) == {Outcome.UNKNOWN}
    assert set(history.polls.completed_ns) == {NO_TIME}
    assert len(history.polls) > 10
    assert result["sent"] == result["acked"]


def test_polls_end_with_an_aborted_load(start: Start, tmp_path: Path) -> None:
    with serving() as web:
        session = start(polls=[{"name": "app", "url": web.url}])
        assert wait_until(lambda: standing(session)["good"], 20)
        session.abort()
    history = record(tmp_path)
    assert (history.end_ns, set(history.polls.outcome)) == (None, {Outcome.OK})


def test_a_count_is_sampled_beside_the_load(start: Start, tmp_path: Path) -> None:
    """A healer that tries three times: each attempt is in the record, and where it lies is known to a look."""
    with serving() as web:
        web.mode = "count"
        watch = {"name": "healer", "url": web.url.replace("//", "//user:hush@"), "metric": "attempts_total"}
        session = start(watches=[watch | {"every_s": 0.05, "cap_s": 10}])
        assert wait_until(lambda: session.snapshot()["watches"]["healer"] == {"count": 0, "why": ""}, 20)
        session.mark("fault_begin", "break it")
        session.mark("fault_end")
        for count in (1, 2, 3):
            web.count = count
            assert wait_until(lambda count=count: session.snapshot()["watches"]["healer"]["count"] == count, 20)
        web.mode = "bad"
        assert wait_until(lambda: session.snapshot()["watches"]["healer"]["why"] == "status 503", 20)
        web.mode = "count"
        assert wait_until(lambda: session.snapshot()["watches"]["healer"]["why"] == "", 20)
        session.finish(5, 5)
    history = record(tmp_path)
    found = judge(history, Limits(max_attempts=10), Parameters(watch_s=0, fresh_s=2))
    assert found.findings["max_attempts"].verdict == "met", found.overall
    (attempts,) = found.attempts
    assert (attempts.count, attempts.resets, history.sample_streams) == (3, 0, ("healer",))
    assert set(history.samples.outcome) == {Outcome.OK, Outcome.FAILED}
    assert history.samples.invoked_ns.max() >= history.marks_named("load_end")[0], "the last look is after the load"
    assert history.header["watches"] == {"healer": {"every_s": 0.05, "factor": 1.5, "cap_s": 10.0}}
    for evidence in (tmp_path / "record", tmp_path / "observer.log"):
        assert b"hush" not in evidence.read_bytes()
    assert "the watch healer: status 503" in (tmp_path / "observer.log").read_text()


def test_a_watched_page_that_hangs_holds_up_neither_the_load_nor_its_end(start: Start, tmp_path: Path) -> None:
    with serving() as web:
        web.mode = "hang"
        session = start(watches=[{"name": "healer", "url": web.url, "metric": "up", "timeout_s": 30}])
        wait_sent(session, 300)
        begun = boottime_ns()
        session.finish(0.2, 5)
    assert boottime_ns() - begun < 10 * NS
    assert record(tmp_path).end_ns is not None


def test_a_source_that_cannot_be_made_fails_at_once(start: Start) -> None:
    with pytest.raises(UsageError, match="there is no source 'nowhere:At'"):
        start(watches=[{"name": "healer", "source": "nowhere:At"}])


def test_intended_times_are_the_schedule_and_not_the_sending(start: Start, tmp_path: Path) -> None:
    session = start(rate_per_s=100)
    wait_sent(session, 50)
    session.finish(5, 5)
    invoked = np.sort(record(tmp_path).writes.invoked_ns)
    assert set(np.diff(invoked)) == {10_000_000}


def test_a_paused_observer_is_late_and_says_so(start: Start, tmp_path: Path) -> None:
    session = start(rate_per_s=100)
    wait_sent(session, 20)
    send_signal(session.identity, signal.SIGSTOP)
    paused_ns = boottime_ns()
    assert wait_until(lambda: boottime_ns() - paused_ns > 1_500_000_000, 5)
    send_signal(session.identity, signal.SIGCONT)
    wait_sent(session, 200)
    result = session.finish(5, 5)
    history = record(tmp_path)
    assert set(np.diff(np.sort(history.writes.invoked_ns))) == {10_000_000}
    late_ns = history.writes.completed_ns - history.writes.invoked_ns
    assert late_ns.max() >= 1_400_000_000
    assert result["lateness"]["max_ms"] >= 1_400
    assert [check["ok"] for check in result["checks"] if check["name"] == "kept its schedule"] == [False]


def test_the_spec_is_on_no_command_line_and_in_no_file(start: Start, tmp_path: Path) -> None:
    session = start(password="s3cret-of-the-drill")
    wait_sent(session, 10)
    pid = session.identity.pid
    seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    session.finish(5, 5)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"s3cret" not in seen + files
    assert b"observe.process" in seen


def test_it_runs_in_a_session_of_its_own(start: Start) -> None:
    session = start()
    assert os.getsid(session.identity.pid) == session.identity.pid
    assert os.getsid(session.identity.pid) != os.getsid(0)


def test_a_snapshot_says_what_the_client_sees(start: Start) -> None:
    session = start()
    wait_sent(session, 500)
    seen = session.snapshot(window_s=1.0)
    assert seen["phase"] == "running"
    assert seen["sent"] >= seen["acked"] >= 500
    assert 100 < seen["per_s"] < 300
    assert (seen["bad_per_s"], seen["failed"], seen["unknown"], seen["silent_s"]) == (0, 0, 0, 0)
    assert 1 < seen["clean_s"] <= seen["elapsed_s"]
    assert seen["lateness"]["p99_ms"] <= seen["lateness"]["max_ms"]


def test_a_service_that_stalls_is_seen_while_it_does(start: Start, tmp_path: Path) -> None:
    stall = tmp_path / "stall"
    session = start(max_in_flight=100, stall=str(stall))
    wait_sent(session, 20)
    stall.touch()
    assert wait_until(lambda: session.snapshot()["failed"] > 20, 20), "nothing was refused"
    seen = session.snapshot()
    assert seen["in_flight"] == 100
    assert (seen["clean_s"], seen["per_s"]) == (0.0, 0.0) or seen["since_last_ack_s"] < 2.2
    assert wait_until(lambda: session.snapshot()["bad_per_s"] > 100, 20), "bad operations are not shown"
    stall.unlink()
    assert wait_until(lambda: session.snapshot()["clean_s"] > 0.5, 20), "it does not recover"
    session.finish(5, 5)
    history = record(tmp_path)
    failed = history.writes.select(history.writes.outcome == Outcome.FAILED)
    assert (failed.completed_ns - failed.invoked_ns).max() < 1_000_000_000
    assert set(np.diff(np.sort(history.writes.invoked_ns))) == {5_000_000}
    for stream in (0, 1):
        seqs = history.writes.seq[history.writes.stream == stream]
        assert sorted(seqs) == list(range(len(seqs)))


def test_what_is_never_answered_is_given_up_as_unknown(start: Start, tmp_path: Path) -> None:
    stall = tmp_path / "stall"
    session = start(stall=str(stall))
    wait_sent(session, 20)
    stall.touch()
    assert wait_until(lambda: session.snapshot()["in_flight"] > 10, 20)
    result = session.finish(0.3, 5)
    history = record(tmp_path)
    assert result["unknown"] == int((history.writes.outcome == Outcome.UNKNOWN).sum()) > 10
    assert result["checks"][0]["ok"] is False
    assert "given up" in result["checks"][0]["detail"]
    assert len(history.finals) == 2


def test_a_read_back_that_fails_leaves_a_record_without_finals(start: Start, tmp_path: Path) -> None:
    session = start(broken_read_back=True, closed=str(tmp_path / "closed"))
    wait_sent(session, 10)
    result = session.finish(5, 5)
    assert result["checks"][-1] == {"name": "read back", "ok": False, "detail": "the end cannot be found"}
    history = record(tmp_path)
    assert (len(history.finals), history.end_ns is None) == (0, False)
    gone(session.identity)
    assert (tmp_path / "closed").read_text() == "False"


def test_progress_is_told_and_figures_answered_while_it_reads_back(start: Start) -> None:
    session = start(slow_read_back_s=1.5)
    wait_sent(session, 10)
    said: list[str] = []
    thread = threading.Thread(target=lambda: session.finish(5, 20, said.append))
    thread.start()
    assert wait_until(lambda: session.snapshot()["phase"] == "reading back", 20)
    thread.join(20)
    assert "reading back: stream 0" in said


def test_after_the_finish_there_is_nobody_to_ask(start: Start) -> None:
    session = start()
    session.finish(5, 5)
    gone(session.identity)
    with pytest.raises(UnavailableError, match="has ended"):
        session.snapshot()


def test_an_abort_ends_the_load_and_leaves_no_end(start: Start, tmp_path: Path) -> None:
    session = start()
    wait_sent(session, 10)
    session.abort()
    gone(session.identity)
    history = record(tmp_path)
    assert (names(history), history.end_ns, len(history.finals)) == (["load_end", "drained"], None, 0)


def test_an_abort_cuts_a_read_back_short(start: Start, tmp_path: Path) -> None:
    session = start(slow_read_back_s=60)
    wait_sent(session, 10)
    finished = threading.Thread(target=lambda: session.finish(5, 120))
    finished.start()
    assert wait_until(lambda: session.snapshot()["phase"] == "reading back", 20)
    session.abort()
    finished.join(20)
    assert not finished.is_alive()
    gone(session.identity)
    history = record(tmp_path)
    assert (history.end_ns, len(history.finals)) == (None, 0)


def test_the_death_of_the_drill_ends_it_with_an_intact_record(start: Start, tmp_path: Path) -> None:
    session = start(closed=str(tmp_path / "closed"))
    wait_sent(session, 10)
    session.mark("fault_begin")
    session._channel.close()
    gone(session.identity)
    history = record(tmp_path)
    assert (names(history), history.end_ns) == (["fault_begin", "load_end", "drained"], None)
    assert len(history.finals) == 0
    assert [warning for warning in history.warnings if "no end" not in warning] == []
    assert len(history.writes) >= 10
    assert (tmp_path / "closed").read_text() == "False"


def test_the_death_of_the_drill_ends_a_read_back(start: Start, tmp_path: Path) -> None:
    session = start(slow_read_back_s=60)
    wait_sent(session, 10)

    def finish() -> None:
        with pytest.raises(UnavailableError):
            session.finish(5, 120)

    finished = threading.Thread(target=finish)
    finished.start()
    assert wait_until(lambda: session.snapshot()["phase"] == "reading back", 20)
    session._channel.close()
    gone(session.identity)
    finished.join(10)
    assert record(tmp_path).end_ns is None


def test_sigterm_ends_it_like_the_death_of_the_drill(start: Start, tmp_path: Path) -> None:
    session = start()
    wait_sent(session, 10)
    send_signal(session.identity, signal.SIGTERM)
    gone(session.identity)
    history = record(tmp_path)
    assert (names(history), history.end_ns) == (["load_end", "drained"], None)
    with pytest.raises(UnavailableError):
        session.snapshot()


def test_what_was_opened_for_a_drill_that_is_gone_is_removed_again(start: Start, tmp_path: Path) -> None:
    opening, closed, before = tmp_path / "opening", tmp_path / "closed", family_of([this_process()])

    def start_and_lose() -> None:
        with pytest.raises(UnavailableError, match="the observer died"):
            start(opening=str(opening), closed=str(closed))

    waiting = threading.Thread(target=start_and_lose)
    waiting.start()
    assert wait_until(opening.exists, 20)
    (observer,) = family_of([this_process()]) - before
    send_signal(observer, signal.SIGTERM)
    assert wait_until(lambda: "ending the load" in (tmp_path / "observer.log").read_text(), 10)
    opening.unlink()
    gone(observer)
    waiting.join(10)
    assert closed.read_text() == "True", "nothing was written, so that nothing is evidence"
    assert not (tmp_path / "record").exists()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGHUP])
def test_signals_for_the_terminal_are_ignored(start: Start, signum: int) -> None:
    session = start()
    wait_sent(session, 10)
    send_signal(session.identity, signum)
    wait_sent(session, session.snapshot()["acked"] + 20)
    assert session.alive


def test_a_killed_observer_is_noticed_and_its_record_opens(start: Start, tmp_path: Path) -> None:
    session = start()
    wait_sent(session, 100)
    session.mark("fault_begin")
    send_signal(session.identity, signal.SIGKILL)
    with pytest.raises(UnavailableError, match="the observer died") as caught:
        session.mark("heal_begin")
    assert "observer.log" in caught.value.hint
    history = record(tmp_path)
    assert (names(history), history.end_ns) == (["fault_begin"], None)
    assert len(history.writes) >= 90
    gone(session.identity)
    assert not session.alive


def test_a_full_disk_is_told_and_ends_it(start: Start, tmp_path: Path) -> None:
    session = start(rate_per_s=2000, file_bytes=30_000)
    with pytest.raises(UnavailableError, match="cannot write the record") as caught:
        wait_until(lambda: session.snapshot() is None, 30)
    assert "free room" in caught.value.hint
    gone(session.identity)
    with pytest.raises(UnavailableError, match="cannot write the record"):
        session.mark("fault_begin")
    history = record(tmp_path)
    assert history.end_ns is None
    assert len(history.writes) > 100


def test_a_mark_that_cannot_be_written_is_an_error(start: Start, tmp_path: Path) -> None:
    session = start(rate_per_s=10, file_bytes=1_500)

    def mark() -> bool:
        session.mark("fault_begin", "x" * 100)
        return False

    with pytest.raises(UnavailableError, match="cannot write the record"):
        wait_until(mark, 30)
    gone(session.identity)


def test_a_mark_of_another_name_is_refused_and_the_load_goes_on(start: Start) -> None:
    session = start()
    with pytest.raises(UsageError, match="cannot be called 'fault'"):
        session.mark("fault")
    session.mark("fault_begin")
    assert session.alive


def test_a_workload_that_crashes_is_told(start: Start, tmp_path: Path) -> None:
    crash = tmp_path / "crash"
    session = start(crash=str(crash))
    wait_sent(session, 10)
    crash.touch()
    with pytest.raises(InternalError, match="a defect of this workload"):
        wait_until(lambda: session.snapshot() is None, 20)
    gone(session.identity)
    assert record(tmp_path).end_ns is None
    assert "Traceback" in (tmp_path / "observer.log").read_text()


def test_a_service_that_cannot_be_opened_is_told(start: Start) -> None:
    with pytest.raises(UnavailableError, match="nobody home") as caught:
        start(refuse="nobody home.")
    assert caught.value.hint == "start it."


def test_a_service_that_acknowledges_nothing_does_not_get_ready(start: Start) -> None:
    with pytest.raises(UnavailableError) as caught:
        start(timeout_s=1, silent=True)
    assert caught.value.message == (
        "memory acknowledged nothing on stream a, b within 1 s. The driver's last trouble: it says nothing."
    )


def test_a_workload_that_does_not_exist_is_told(tmp_path: Path) -> None:
    for path in ("no.such.module:Thing", "tests.observe.memory_workload:Nothing", "nonsense"):
        spec = ObserverSpec("drill", "memory", path, tmp_path / "record")
        with pytest.raises(UsageError, match="there is no workload"):
            ObserverSession.start(spec, tmp_path, 10)


def test_a_record_that_exists_is_not_written_over(start: Start, tmp_path: Path) -> None:
    (tmp_path / "record").write_text("precious")
    with pytest.raises(DrillError, match="exists"):
        start()
    assert (tmp_path / "record").read_text() == "precious"


def test_several_threads_may_ask(start: Start) -> None:
    session = start()
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(20):
                session.mark("fault_begin")
                assert session.snapshot()["phase"] == "running"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_closing_ends_it_whatever_it_does(start: Start) -> None:
    session = start()
    wait_sent(session, 10)
    session.close()
    assert not is_alive(session.identity)
    session.close()


def test_a_paused_observer_is_ended_too(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    session = start()
    monkeypatch.setattr("chaosdrills.observe.session.CLOSE_S", 0.5)
    send_signal(session.identity, signal.SIGSTOP)
    session.close()
    assert not is_alive(session.identity)


@pytest.mark.parametrize("bound", [0, 2_000_000])
def test_a_bound_without_sense_is_refused(tmp_path: Path, bound: int) -> None:
    with pytest.raises(UsageError, match="max_in_flight"):
        ObserverSpec("drill", "memory", WORKLOAD, tmp_path / "record", max_in_flight=bound)
