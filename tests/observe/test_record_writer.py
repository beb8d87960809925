"""Writing a record: what is refused, what is on disk when, and what a full disk or a kill leaves."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chaosdrills.core.history import NO_SEQ, NO_TIME, Mark
from chaosdrills.errors import DrillError, InternalError, UnavailableError, UsageError
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.record import BLOCK_SLOTS, RecordWriter
from chaosdrills.observe.slots import SLOT_BYTES, Kind
from tests.observe.test_record import (
    FAILED,
    NO_END,
    OK,
    ORIGIN,
    UNKNOWN,
    create,
    recording,
    small_record,
)


def test_the_writer_refuses_what_no_reader_would_take(tmp_path: Path) -> None:
    path = tmp_path / "record"
    with recording(path) as writer:
        a = writer.stream("a")
        assert writer.stream("b") == 1
        assert writer.stream("a") == a == 0
        for append in (writer.writes, writer.reads):
            for bad in (
                (2, 0, ORIGIN, ORIGIN, OK),
                (-1, 0, ORIGIN, ORIGIN, OK),
                (a, -2, ORIGIN, ORIGIN, OK),
                (a, 0, ORIGIN, ORIGIN - 1, OK),
                (a, 0, ORIGIN, ORIGIN, 3),
                (a, 0, ORIGIN, NO_TIME, FAILED),
            ):
                with pytest.raises(InternalError):
                    append(*bad)
        with pytest.raises(InternalError):
            writer.writes(a, NO_SEQ, ORIGIN, ORIGIN, OK)
        with pytest.raises(UsageError, match="a mark cannot be called 'fault'"):
            writer.mark("fault", ORIGIN)
        with pytest.raises(UsageError, match="the stream cannot be recorded"):
            writer.stream("\ud800")
        with pytest.raises(InternalError):
            writer.final(a, ORIGIN, np.array([-2]))
        writer.final(a, ORIGIN, np.array([1]))
        with pytest.raises(InternalError):
            writer.final(a, ORIGIN, np.array([1]))
        writer.end(ORIGIN + 1)
        with pytest.raises(InternalError, match="nothing more can be recorded in record: it has its end"):
            writer.writes(a, 0, ORIGIN, ORIGIN, OK)
    writer.close()
    with pytest.raises(InternalError):
        writer.flush()
    history = read_record(path)
    assert (len(history.writes), len(history.reads), history.streams) == (0, 0, ("a", "b"))
    assert history.finals[0].seqs.tolist() == [1]
    assert (history.end_ns, history.warnings) == (1, ())


def test_create_never_writes_over_anything(tmp_path: Path) -> None:
    path = tmp_path / "record"
    small_record(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="cannot make the record record: it exists"):
        create(path)
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="its folder is missing"):
        create(tmp_path / "missing" / "record")
    for bad in ({"service": "x"}, {"rate": float("nan")}, {"rate": object()}):
        with pytest.raises(UsageError):
            create(tmp_path / "new", **bad)
    with pytest.raises(UsageError, match="cannot begin with stream_kind 'table'"):
        RecordWriter.create(tmp_path / "new", service="", stream_kind="table", started_at="", origin_ns=0)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_a_mark_and_a_flush_are_in_the_file_when_they_return(tmp_path: Path) -> None:
    path = tmp_path / "record"
    with recording(path) as writer:
        assert writer.bytes_written == path.stat().st_size > 0
        a = writer.stream("a")
        writer.writes(a, 0, ORIGIN, ORIGIN, OK)
        assert len(read_record(path).writes) == 0
        writer.flush()
        assert len(read_record(path).writes) == 1
        writer.writes(a, 1, ORIGIN, ORIGIN, OK)
        writer.mark("load_end", ORIGIN + 3)
        history = read_record(path)
        assert (len(history.writes), history.marks) == (2, (Mark("load_end", 3),))
        assert writer.bytes_written == path.stat().st_size
        before = writer.bytes_written
        writer.flush(sync=True)
        assert writer.bytes_written == before


def test_memory_is_bounded_by_whole_blocks(tmp_path: Path) -> None:
    path = tmp_path / "record"
    with recording(path) as writer:
        a, header = writer.stream("a"), writer.bytes_written
        for seq in range(2 * BLOCK_SLOTS):
            writer.writes(a, seq, ORIGIN, ORIGIN, OK)
            assert writer.bytes_written >= header + (seq // BLOCK_SLOTS) * BLOCK_SLOTS * SLOT_BYTES
        assert writer.bytes_written == header + 2 * (BLOCK_SLOTS + 1) * SLOT_BYTES
    assert read_record(path).writes.seq.tolist() == list(range(2 * BLOCK_SLOTS))


def test_threads_append_and_mark_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "record"
    each = 20_000
    failures: list[DrillError] = []

    def append(name: str) -> None:
        try:
            stream = writer.stream(name)
            for seq in range(each):
                writer.writes(stream, seq, ORIGIN + seq, ORIGIN + seq, OK)
                if seq % 5000 == 0:
                    writer.mark("heal_begin", ORIGIN + seq, name)
                if seq % 700 == 0:
                    writer.flush()
        except DrillError as error:
            failures.append(error)

    with recording(path) as writer:
        threads = [threading.Thread(target=append, args=(str(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        writer.end(ORIGIN + each)
    assert not failures
    history = read_record(path)
    assert history.warnings == ()
    assert len(history.marks) == 16
    for stream in range(4):
        assert history.writes.seq[history.writes.stream == stream].tolist() == list(range(each))


WRITE_FOR_EVER = """
import sys, itertools
from chaosdrills.observe.record import RecordWriter
writer = RecordWriter.create(sys.argv[1], service="kafka", stream_kind="log", started_at="now", origin_ns=0)
stream = writer.stream("a")
for seq in itertools.count():
    writer.writes(stream, seq, seq, seq + 1, 0)
    if seq % 97 == 0:
        writer.flush()
"""


@pytest.mark.parametrize("size", [10_000, 400_000, 1_234_567])
def test_what_a_killed_writer_leaves_opens(tmp_path: Path, size: int) -> None:
    path = tmp_path / "record"
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, path])
    try:
        grown = wait_until(lambda: path.exists() and path.stat().st_size >= size, 30, poll_s=0.001)
        assert grown, "the writer wrote nothing"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    history = read_record(path)
    assert history.warnings[-1] == NO_END
    assert len(history.writes) * SLOT_BYTES > size // 2
    assert history.writes.seq.tolist() == list(range(len(history.writes)))


WRITE_UNTIL_FULL = """
import itertools, os, resource, sys
from chaosdrills.errors import UnavailableError
from chaosdrills.observe.record import RecordWriter
limit, path = int(sys.argv[1]), sys.argv[2]
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
writer = RecordWriter.create(path, service="kafka", stream_kind="log", started_at="now", origin_ns=0)
stream = writer.stream("a")
errors = []
try:
    for seq in itertools.count():
        writer.writes(stream, seq, seq, seq + 1, 0)
        if seq % 97 == 0:
            writer.flush()
except UnavailableError as error:
    errors.append(str(error))
for call in (
    lambda: writer.writes(stream, seq + 1, 1, 1, 0),
    lambda: writer.mark("fault_begin", 1),
    lambda: writer.flush(),
    lambda: writer.end(1),
    writer.close,
):
    try:
        call()
    except UnavailableError as error:
        errors.append(str(error))
writer.close()
assert len(errors) == 6 and len(set(errors)) == 1, errors
print(errors[0])
print(writer.bytes_written, os.path.getsize(path), seq)
with open(path, "rb") as source, open(sys.argv[3], "wb") as copy:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2) if not limit else None
    copy.write(source.read())
"""


def check_full(output: str, copy: Path, reason: str) -> None:
    error, figures = output.strip().split("\n")
    assert error.startswith(f"cannot write the record record: {reason}. Try: free room on its disk")
    written, size, last = map(int, figures.split())
    assert written == size
    history = read_record(copy)
    assert history.warnings == (f"{copy.name} has no end: its observer died, or is still at work.",)
    assert history.writes.seq.tolist() == list(range(len(history.writes)))
    assert last - 97 <= len(history.writes) <= last


def can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs root, to mount a small disk in a namespace of its own")
def test_a_full_disk_is_said_once_and_leaves_what_was_written(tmp_path: Path) -> None:
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=64k drill "$1" && exec "$2" -c "$3" 0 "$1/record" "$4"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", disk, sys.executable, WRITE_UNTIL_FULL, copy],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    check_full(done.stdout, copy, "No space left on device")


def test_a_limit_on_the_files_size_is_said_once_and_leaves_what_was_written(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    done = subprocess.run(
        [sys.executable, "-c", WRITE_UNTIL_FULL, "50001", tmp_path / "record", copy],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    check_full(done.stdout, copy, "File too large")


def test_no_room_even_for_the_header_leaves_no_file(tmp_path: Path) -> None:
    code = """
import resource, sys
from chaosdrills.errors import UnavailableError
from chaosdrills.observe.record import RecordWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    RecordWriter.create(sys.argv[1], service="kafka", stream_kind="log", started_at="now", origin_ns=0)
except UnavailableError as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "record"], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("cannot write the record record: File too large.\n", "")
    assert not (tmp_path / "record").exists()


def test_an_interrupted_write_leaves_whole_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record"
    with recording(path) as writer:
        a = writer.stream("a")
        writer.writes(a, 0, ORIGIN, ORIGIN, OK)
        writer.flush()
        writer.writes(a, 1, ORIGIN, ORIGIN, OK)
        real = os.write

        def interrupted(descriptor: int, data: memoryview) -> int:
            real(descriptor, data[:40])
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.flush()
        monkeypatch.undo()
        with pytest.raises(InternalError, match="nothing more can be recorded in record: writing it was interrupted"):
            writer.writes(a, 2, ORIGIN, ORIGIN, OK)
    history = read_record(path)
    assert history.writes.seq.tolist() == [0]
    assert history.warnings == (NO_END,)


def test_many_at_once_are_the_same_bytes_as_one_by_one(tmp_path: Path) -> None:
    rows = [
        (0, 0, ORIGIN + 1, ORIGIN + 2, OK),
        (1, 0, ORIGIN - 5, NO_TIME, UNKNOWN),
        (0, 7, ORIGIN + 3, ORIGIN + 3, FAILED),
    ]
    for name in ("record", "other"):
        with recording(tmp_path / name) as writer:
            writer.stream("a")
            writer.stream("b")
            for kind, append in ((Kind.WRITE, writer.writes), (Kind.READ, writer.reads)):
                if name == "record":
                    writer.many(kind, np.array(rows))
                    writer.many(kind, np.array([], dtype=np.int64).reshape(0, 5))
                else:
                    for row in rows:
                        append(*row)
    assert (tmp_path / "record").read_bytes() == (tmp_path / "other").read_bytes()


def test_many_at_once_are_refused_together(tmp_path: Path) -> None:
    path, sound = tmp_path / "record", (0, 0, ORIGIN, ORIGIN, OK)
    with recording(path) as writer:
        writer.stream("a")
        for bad in (
            (1, 0, ORIGIN, ORIGIN, OK),
            (-1, 0, ORIGIN, ORIGIN, OK),
            (0, NO_SEQ, ORIGIN, ORIGIN, OK),
            (0, 0, ORIGIN, ORIGIN - 1, OK),
            (0, 0, ORIGIN, ORIGIN, 3),
            (0, 0, ORIGIN, ORIGIN, 256),
            (0, 0, ORIGIN, NO_TIME, FAILED),
        ):
            with pytest.raises(InternalError):
                writer.many(Kind.WRITE, np.array([sound, bad]))
        writer.many(Kind.READ, np.array([(0, NO_SEQ, ORIGIN, ORIGIN, OK)] * (BLOCK_SLOTS + 1)))
        assert writer.bytes_written > BLOCK_SLOTS * SLOT_BYTES
    history = read_record(path)
    assert (len(history.writes), len(history.reads)) == (0, BLOCK_SLOTS + 1)


def test_marks_and_the_end_are_synced_with_all_that_is_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record"
    synced: list[int] = []
    real = os.fdatasync

    def noting(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", noting)
    with recording(path) as writer:
        assert synced[-1] == writer.bytes_written
        a = writer.stream("a")
        writer.flush()
        assert len(synced) == 1
        calls: list[Callable[[], None]] = [
            lambda: writer.mark("drained", ORIGIN),
            lambda: writer.flush(sync=True),
            lambda: writer.end(ORIGIN),
        ]
        writer.final(a, ORIGIN, np.arange(5))
        assert len(synced) == 1, "there may be thousands of read-backs"
        for number, call in enumerate(calls, 2):
            call()
            assert (len(synced), synced[-1]) == (number, writer.bytes_written)


def test_a_device_that_does_not_sync_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record"

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    writer = create(path)
    monkeypatch.setattr(os, "fdatasync", failing)
    calls: list[Callable[[], None]] = [lambda: writer.mark("fault_begin", ORIGIN), writer.flush, writer.close]
    for call in calls:
        with pytest.raises(UnavailableError, match="cannot write the record record: Input/output error"):
            call()
    writer.close()
    assert read_record(path).warnings == (NO_END,)
