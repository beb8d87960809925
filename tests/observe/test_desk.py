"""The desk of a running drill, and who finds it: in a state folder with a long path, beside stale and damaged files."""

import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.core.judge import Limits
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import InternalError, UnavailableError, UsageError
from chaosdrills.faults import lock
from chaosdrills.host.processes import this_process
from chaosdrills.observe.desk import Desk, desks_dir, stem_of
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.hold import Hold
from chaosdrills.observe.notes import MAX_BYTES, remark
from chaosdrills.observe.outside import Telling, word_left
from chaosdrills.observe.plan import Plan
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.running import chosen, running

QUICK = Parameters(stable_s=0.5, baseline_s=1, watch_s=0.5, slow_s=0.3, gap_s=0.3)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose path is longer than an address of a socket may be."""
    folder = tmp_path / ("long" * 40)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[ObservedDrill]:
    """One at its desk, that was not started."""
    plan = Plan("memory", "tests.observe.memory_workload:MemoryWorkload", {}, 200, Limits(60, 60, 0), QUICK)
    made = ObservedDrill("d1", "it holds", tmp_path, plan)
    desk = Desk(made)
    desk.open()
    yield made
    desk.close()
    desk.close()
    made.close()
    assert [path for path in desks_dir().iterdir() if path.stem == stem_of(this_process())] == []


def test_it_is_found_and_answers(drill: ObservedDrill, tmp_path: Path) -> None:
    (found,), damaged = running()
    assert damaged == []
    assert (found.identity, found.drill_id, found.title) == (this_process(), "d1", "it holds")
    assert (found.folder, found.started_at) == (tmp_path, drill.started_at)
    told = found.ask(do="status")
    assert (told["phase"], told["hold"], told["aborted"], told["figures"]) == ("start", "none", "", None)
    assert told["phase_s"] >= 0
    assert chosen() == chosen("d1") == chosen(str(os.getpid())) == found


def test_only_its_user_may_talk_to_it(drill: ObservedDrill) -> None:
    path = desks_dir() / f"{stem_of(this_process())}.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desks_dir().stat().st_mode) == 0o700


def test_requests_that_it_does_not_know(drill: ObservedDrill) -> None:
    for request in (
        {"do": "dance"},
        {},
        {"do": "note"},
        {"do": "mark", "name": "fault_begin", "label": "", "at_ns": 1},
    ):
        with pytest.raises(InternalError, match="a drill does not know the request"):
            chosen().ask(**request)


def test_one_that_asks_nothing_does_not_keep_others_waiting(drill: ObservedDrill) -> None:
    directory = os.open(desks_dir(), os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as rude:
        for one in (silent, rude):
            one.connect(f"/proc/self/fd/{directory}/{stem_of(this_process())}.sock")
        rude.sendall(b"\x00 not JSON\n")
        assert chosen().ask(do="status")["drill_id"] == "d1"
    os.close(directory)


def test_go_without_a_hold_and_before_it(drill: ObservedDrill) -> None:
    with pytest.raises(UsageError, match="the drill does not hold, so there is nothing to go on from"):
        chosen().ask(do="go")
    drill.hold = Hold(60)
    with pytest.raises(UsageError, match="the drill does not hold yet: it is in the phase 'start'"):
        chosen().ask(do="go")
    drill.hold.shut()
    with pytest.raises(UsageError, match="the drill holds no more"):
        chosen().ask(do="go")


def test_notes(drill: ObservedDrill, tmp_path: Path) -> None:
    drill.start()
    drill.wait_baseline(lambda text: None)
    at_s = chosen().ask(do="note", text="line one\nline\ttwo \x1b[31mred\u202e")["at_s"]
    assert [(note.text, note.at_ns / 1e9) for note in read_record(tmp_path / "record").notes] == [
        ("line one line two [31mred", pytest.approx(at_s))
    ]
    for text, why in (("", "the note is empty"), (" \n\x00", "the note is empty"), ("x" * 20_000, "20,000 bytes long")):
        with pytest.raises(UsageError, match=why):
            chosen().ask(do="note", text=text)
    drill.mark("fault_begin", "nothing")
    drill.mark("fault_end", "nothing")
    drill.finish(lambda text: None)
    with pytest.raises(UnavailableError, match="the note was not kept: its record is closed"):
        chosen().ask(do="note", text="too late")
    assert len(read_record(tmp_path / "record").notes) == 1


def test_a_note_before_there_is_a_record_that_never_comes(drill: ObservedDrill) -> None:
    drill._warm.set()  # as when the observer could not be started
    with pytest.raises(UnavailableError, match="the note was not kept: it has no record yet"):
        chosen().ask(do="note", text="hello")


def test_what_a_remark_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "alice-b")
    assert remark("  alice-b\r\nwas paged\ud800 ") == "user was paged"
    assert remark("alice-b was paged", "a drill of alice-b") == "alice-b was paged"
    assert len(remark("é" * (MAX_BYTES // 2)).encode()) == MAX_BYTES
    with pytest.raises(UsageError, match="16,386 bytes long, 16,384 are kept"):
        remark("é" * (MAX_BYTES // 2 + 1))


def test_an_abort_once_it_is_over_is_too_late(drill: ObservedDrill) -> None:
    drill.abort.close()
    assert chosen().ask(do="abort", by="a test") == {"accepted": False, "phase": "start"}
    assert drill.abort.why == ""


@contextlib.contextmanager
def another() -> Iterator[int]:
    """Another process; its pid."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def start_ticks(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_what_dead_drills_left_is_taken_away(drill: ObservedDrill) -> None:
    """A dead process, and a living one that has got the pid of a dead one."""
    pid = os.getpid()
    stale = [
        desks_dir() / name for name in ("999999999-5.json", "999999999-5.sock", f"{pid}-5.json", f"{pid}-5.healed")
    ]
    for path in stale:
        path.write_text('{"version": 1}')
    found, damaged = running()
    assert ([one.drill_id for one in found], damaged) == (["d1"], [])
    assert [path for path in stale if path.exists()] == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", '"x"', '{"version": 2}', '{"version": 1, "drill_id": 7}', "\x00" * 40, "[" * 9999]
)
def test_damaged_files_are_told_and_keep_nobody_from_the_others(drill: ObservedDrill, content: str) -> None:
    with another() as pid:
        path = desks_dir() / f"{pid}-{start_ticks(pid)}.json"
        path.write_text(content)
        (desks_dir() / "nobody.json").write_text("{}")
        found, damaged = running()
        assert [one.drill_id for one in found] == ["d1"]
        assert {each.path for each in damaged} == {path, desks_dir() / "nobody.json"}
        assert all(each.why for each in damaged)
        assert path.exists()
        assert chosen().drill_id == "d1"


def test_a_drill_that_does_not_answer(drill: ObservedDrill) -> None:
    with another() as pid:
        mine = desks_dir() / f"{stem_of(this_process())}.json"
        (desks_dir() / f"{pid}-{start_ticks(pid)}.json").write_text(mine.read_text().replace("d1", "d2"))
        with pytest.raises(UsageError, match=r"2 drills run: d\d \(it holds\), d\d \(it holds\)\.") as caught:
            chosen()
        assert caught.value.hint == "say which, by --drill ID."
        with pytest.raises(UsageError, match="no drill 'd3' runs, but d"):
            chosen("d3")
        with pytest.raises(UnavailableError, match=rf"the drill 'it holds' \(process {pid}\) does not answer: "):
            chosen("d2").ask(do="status")
        deaf = socket.socket(socket.AF_UNIX)
        deaf.bind(f"/proc/self/fd/{os.open(desks_dir(), os.O_RDONLY)}/{pid}-{start_ticks(pid)}.sock")
        deaf.listen()
        with pytest.raises(UnavailableError, match=r"does not answer: nothing within 0\.1 s"):
            chosen("d2").ask(0.1, do="status")
        deaf.close()


def test_nobody_runs() -> None:
    assert running() == ([], [])
    with pytest.raises(UnavailableError, match="no drill runs"):
        chosen()


def test_a_desk_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desks_dir().rmdir()
    (desks_dir().parent).mkdir(exist_ok=True)
    desks_dir()
    path = desks_dir() / f"{stem_of(this_process())}.sock"
    path.mkdir()
    with pytest.raises(UnavailableError, match="the drill cannot be seen from other terminals"):
        Desk(ObservedDrill("d1", "it holds", tmp_path, Plan("memory", "no:Workload"))).open()
    path.rmdir()


def test_who_holds_the_lock_is_told_without_taking_it() -> None:
    assert lock.holder() is None
    lock.hold("journals/run")
    assert lock.holder() == {"pid": os.getpid(), "drill": "journals/run"}
    lock.release()
    assert lock.holder() is None
    code = "from chaosdrills.faults import lock; lock.hold('x'); print(flush=True); import os; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL, timeout=60)
    assert lock.holder() is None, "a dead holder holds nothing, though its name is still written there"


def test_a_heal_from_outside_that_cannot_be_told_leaves_word(drill: ObservedDrill) -> None:
    """The drill has no observer, so that it cannot mark: it knows that it cannot be met, and word is left as well."""
    telling = Telling()
    telling._owners, telling._drills = {this_process()}, running()[0]
    telling.mark("heal_begin", "heal of broker 2", 5)
    assert drill.trouble.startswith("heal of broker 2 from outside is not in the record: the observer does not run")
    assert telling.lines == [
        "The drill 'it holds' has no heal_begin mark of it, and is never met: the observer does not run."
    ]
    assert word_left() == "heal of broker 2"
    assert word_left() == ""


def test_a_process_without_a_desk_is_left_word() -> None:
    telling = Telling()
    telling._owners = {this_process()}
    telling.mark("heal_begin", "heal of broker 2", 5)
    telling.mark("heal_end", "heal of broker 2", 6)
    assert telling.lines == []
    assert word_left() == "heal of broker 2"
