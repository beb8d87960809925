"""The record: its bytes, its round trips, and what opens it."""

import json
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from chaosdrills.core.exchange import format_lines, parse
from chaosdrills.core.history import NO_SEQ, NO_TIME, Final, History, Mark, Outcome
from chaosdrills.errors import UsageError
from chaosdrills.observe.contents import describe
from chaosdrills.observe.reading import open_history, read_record
from chaosdrills.observe.record import RecordWriter
from chaosdrills.observe.slots import SLOT, SLOT_BYTES, Kind
from tests.core.test_exchange import DESIGN, NO_POLLS, histories, plain

ORIGIN = 5_000_000_000_000
OK, FAILED, UNKNOWN = (int(outcome) for outcome in Outcome)
NO_END = "record has no end: its observer died, or is still at work."


def create(path: Path, **extra: Any) -> RecordWriter:
    return RecordWriter.create(
        path,
        service="kafka",
        stream_kind="log",
        started_at="2026-11-23T08:00:00Z",
        origin_ns=ORIGIN,
        extra=extra,
    )


@contextmanager
def recording(path: Path, **extra: Any) -> Iterator[RecordWriter]:
    with closing(create(path, **extra)) as writer:
        yield writer


def small_record(path: Path) -> None:
    """Five blocks: the header; two streams and four operations; a mark; read-backs; the end."""
    with recording(path, rate=200) as writer:
        a, b = writer.stream("a"), writer.stream("a stream whose name does not fit into a single slot")
        writer.writes(a, 0, ORIGIN + 1, ORIGIN + 5, OK)
        writer.writes(b, 0, ORIGIN + 2, NO_TIME, UNKNOWN)
        writer.reads(a, NO_SEQ, ORIGIN + 3, ORIGIN + 4, FAILED)
        writer.writes(a, 1, ORIGIN + 6, ORIGIN + 7, FAILED)
        writer.flush()
        writer.mark("fault_begin", ORIGIN + 8, "kill broker 1")
        writer.final(a, ORIGIN + 9, np.array([0, 1, 2, NO_SEQ, NO_SEQ, 5], dtype=np.int64))
        writer.final(b, ORIGIN + 9, np.array([], dtype=np.int64))
        writer.end(ORIGIN + 10)


SMALL: dict[str, Any] = {
    "service": "kafka",
    "stream_kind": "log",
    "started_at": "2026-11-23T08:00:00Z",
    "streams": ("a", "a stream whose name does not fit into a single slot"),
    "writes": {
        "stream": [0, 1, 0],
        "seq": [0, 0, 1],
        "invoked_ns": [1, 2, 6],
        "completed_ns": [5, NO_TIME, 7],
        "outcome": [0, 2, 1],
    },
    "reads": {"stream": [0], "seq": [-1], "invoked_ns": [3], "completed_ns": [4], "outcome": [1]},
    "marks": (Mark("fault_begin", 8, "kill broker 1"),),
    "finals": {0: (9, [0, 1, 2, -1, -1, 5]), 1: (9, [])},
    "end_ns": 10,
    "header": {"rate": 200},
    "warnings": (),
    "notes": (),
    **NO_POLLS,
}


def write_history(path: Path, history: History) -> None:
    """Record what `history` says, a block now and then."""
    with closing(
        RecordWriter.create(
            path,
            service=history.service,
            stream_kind=history.stream_kind,
            started_at=history.started_at,
            origin_ns=ORIGIN,
            extra=history.header,
        )
    ) as writer:
        for name in history.streams:
            writer.stream(name)
        for name in history.poll_streams:
            writer.poll_stream(name)
        for name in history.sample_streams:
            writer.sample_stream(name)
        for kind, all_of in ((Kind.POLL, history.polls), (Kind.SAMPLE, history.samples)):
            columns = (all_of.stream, all_of.seq, all_of.invoked_ns, all_of.completed_ns, all_of.outcome)
            rows = np.array(columns, np.int64).T
            rows[:, 2] += ORIGIN
            rows[rows[:, 3] != NO_TIME, 3] += ORIGIN
            writer.many(kind, rows)
        for append, operations in ((writer.writes, history.writes), (writer.reads, history.reads)):
            columns = (operations.stream, operations.seq, operations.invoked_ns, operations.completed_ns)
            for row in zip(*(column.tolist() for column in (*columns, operations.outcome)), strict=True):
                stream, seq, invoked, completed, outcome = row
                completed = completed if completed == NO_TIME else completed + ORIGIN
                append(stream, seq, invoked + ORIGIN, completed, outcome)
            writer.flush()
        for mark in history.marks:
            writer.mark(mark.name, mark.at_ns + ORIGIN, mark.label)
        for stream, final in history.finals.items():
            writer.final(stream, final.at_ns + ORIGIN, final.seqs)
        if history.end_ns is not None:
            writer.end(history.end_ns + ORIGIN)


def blocks(path: Path) -> list[tuple[int, int]]:
    """Begin and end of each block in bytes."""
    ends = [0, *((np.flatnonzero(np.memmap(path, SLOT, "r")["kind"] == Kind.SEAL) + 1) * SLOT_BYTES).tolist()]
    return list(pairwise(ends))


def test_it_reads_as_it_was_written(tmp_path: Path) -> None:
    small_record(tmp_path / "record")
    assert plain(read_record(tmp_path / "record"), warnings=True) == SMALL
    assert plain(open_history(tmp_path), warnings=True) == SMALL


def test_the_bytes_are_those_of_the_prose(tmp_path: Path) -> None:
    """Every byte of a record, put together here from the specification alone."""
    path = tmp_path / "record"
    with recording(path) as writer:
        a = writer.stream("a")
        writer.writes(a, 7, ORIGIN + 258, ORIGIN + 259, FAILED)
        writer.reads(a, NO_SEQ, ORIGIN - 1, NO_TIME, UNKNOWN)
        writer.mark("drained", ORIGIN + 16, "é")
        writer.note("aha", ORIGIN + 19)
        app = writer.poll_stream("app")
        writer.many(Kind.POLL, np.array([[app, NO_SEQ, ORIGIN + 20, ORIGIN + 21, FAILED]]))
        healer = writer.sample_stream("h")
        writer.many(Kind.SAMPLE, np.array([[healer, 515, ORIGIN + 22, ORIGIN + 23, OK]]))
        writer.flush()
        writer.final(a, ORIGIN + 17, np.array([3, 4, NO_SEQ], dtype=np.int64))
        writer.end(ORIGIN + 18)
    expected = b""

    def seal(number: int, *slots: bytes) -> None:
        nonlocal expected
        assert all(len(slot) == 32 for slot in slots)
        expected += b"".join(slots)
        crc = struct.pack("<I", zlib.crc32(expected))
        expected += b"\x0a\0\0\0" + crc + struct.pack("<qqq", number, len(slots), 0)

    header = b'{"service":"kafka","stream_kind":"log","started_at":"2026-11-23T08:00:00Z","extra":{}}'
    assert len(header) == 86
    seal(
        0,
        b"\x89chaosdrills\r\n\x1a\n" + b"\x04\0\0\0\0\0\0\0" + b"\x20\0\0\0\0\0\0\0",
        b"\x03" + bytes(23) + b"\x56\0\0\0\0\0\0\0",
        b"\x06" + header[:31],
        b"\x06" + header[31:62],
        b"\x06" + header[62:] + bytes(7),
    )
    seal(
        1,
        b"\x04" + bytes(23) + b"\x03\0\0\0\0\0\0\0",
        b'\x06"a"' + bytes(28),
        b"\x01\x01\0\0" + b"\0\0\0\0" + b"\x02\x01\0\0\0\0\0\0" + b"\x03\x01\0\0\0\0\0\0" + b"\x07\0\0\0\0\0\0\0",
        b"\x02\x02\0\0" + b"\0\0\0\0" + b"\xff" * 8 + b"\0\0\0\0\0\0\0\x80" + b"\xff" * 8,
        b"\x05" + bytes(7) + b"\x10\0\0\0\0\0\0\0" + bytes(8) + b"\x1f\0\0\0\0\0\0\0",
        b'\x06{"name":"drained","label":"\xc3\xa9"}',
    )
    seal(
        2,
        b"\x0b" + bytes(7) + b"\x13\0\0\0\0\0\0\0" + bytes(8) + b"\x0e\0\0\0\0\0\0\0",
        b'\x06{"text":"aha"}' + bytes(17),
    )
    seal(
        3,
        b"\x0d" + bytes(23) + b"\x05\0\0\0\0\0\0\0",
        b'\x06"app"' + bytes(26),
        b"\x0c\x01\0\0" + b"\0\0\0\0" + b"\x14\0\0\0\0\0\0\0" + b"\x15\0\0\0\0\0\0\0" + b"\xff" * 8,
        b"\x0f" + bytes(23) + b"\x03\0\0\0\0\0\0\0",
        b'\x06"h"' + bytes(28),
        b"\x0e" + bytes(7) + b"\x16\0\0\0\0\0\0\0" + b"\x17\0\0\0\0\0\0\0" + b"\x03\x02\0\0\0\0\0\0",
    )
    seal(
        4,
        b"\x07" + bytes(7) + b"\x11\0\0\0\0\0\0\0" + b"\x02\0\0\0\0\0\0\0" + b"\x03\0\0\0\0\0\0\0",
        b"\x07" + bytes(7) + b"\x11\0\0\0\0\0\0\0" + b"\x01\0\0\0\0\0\0\0" + b"\xff" * 8,
    )
    seal(5, b"\x08" + bytes(7) + b"\x11\0\0\0\0\0\0\0" + bytes(8) + b"\x03\0\0\0\0\0\0\0")
    seal(6, b"\x09" + bytes(7) + b"\x12\0\0\0\0\0\0\0" + bytes(16))
    assert path.read_bytes() == expected


def test_numpy_reads_it_without_a_copy(tmp_path: Path) -> None:
    small_record(tmp_path / "record")
    slots = np.memmap(tmp_path / "record", SLOT, "r")
    writes = slots[slots["kind"] == Kind.WRITE]
    assert writes["seq"].tolist() == [0, 0, 1]
    assert writes["invoked_ns"].tolist() == [1, 2, 6]


@settings(max_examples=100, deadline=None)
@given(histories())
def test_any_history_comes_back_from_a_record_and_from_its_lines(history: History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record"
        write_history(path, history)
        assert path.stat().st_size % SLOT_BYTES == 0
        read = read_record(path)
    assert plain(read) == plain(history)
    assert read.warnings == (() if history.end_ns is not None else (NO_END,))
    assert plain(parse(format_lines(read))) == plain(history)


def test_open_history_takes_lines_records_and_folders(tmp_path: Path) -> None:
    lines = tmp_path / "history.jsonl"
    lines.write_text("\n".join(DESIGN))
    assert plain(open_history(lines)) == plain(parse(DESIGN))
    lines.write_text("\n".join([*DESIGN, "{"]))
    with pytest.raises(UsageError) as caught:
        open_history(lines)
    assert caught.value.message.startswith("history.jsonl: line 9: is not JSON")
    small_record(tmp_path / "run")
    assert plain(open_history(str(tmp_path / "run")), warnings=True) == SMALL


def test_open_history_of_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "record").mkdir()
    for path, message in (
        (tmp_path / "nothing", f"there is no nothing in {tmp_path.name}."),
        (tmp_path / "record", "there is no record in record."),
        (tmp_path, "record cannot be read: Is a directory."),
    ):
        with pytest.raises(UsageError) as caught:
            open_history(path)
        assert caught.value.message == message
        assert caught.value.hint
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(UsageError, match="empty: the history has no header"):
        open_history(empty)


def test_what_show_shows(tmp_path: Path) -> None:
    path = tmp_path / "record"
    small_record(path)
    shown = describe(read_record(path), path.stat().st_size)
    assert json.loads(json.dumps(shown)) == {
        "service": "kafka",
        "stream_kind": "log",
        "started_at": "2026-11-23T08:00:00Z",
        "header": {"rate": 200},
        "duration_s": 1e-08,
        "ended": True,
        "streams": list(SMALL["streams"]),
        "writes": {"total": 3, "ok": 1, "failed": 1, "unknown": 1},
        "reads": {"total": 1, "ok": 0, "failed": 1, "unknown": 0},
        "finals": {"streams": 2, "seqs": 6},
        "marks": [{"name": "fault_begin", "at_s": 8e-09, "label": "kill broker 1"}],
        "notes": [],
        "bytes": path.stat().st_size,
        "warnings": [],
    }
    assert describe(parse(DESIGN[:2]), 0)["duration_s"] == 0.004
    assert describe(parse(DESIGN[:1]), 0)["duration_s"] is None


def polled_record(path: Path) -> None:
    """A stream of writes and two of polls, one of the same name."""
    with recording(path) as writer:
        a, polled = writer.stream("a"), [writer.poll_stream(name) for name in ("app", "a")]
        writer.writes(a, 0, ORIGIN + 1, ORIGIN + 5, OK)
        rows = [
            [polled[0], NO_SEQ, ORIGIN + 2, ORIGIN + 3, OK],
            [polled[1], NO_SEQ, ORIGIN + 2, NO_TIME, UNKNOWN],
            [polled[1], NO_SEQ, ORIGIN + 6, ORIGIN + 9, FAILED],
        ]
        writer.many(Kind.POLL, np.array(rows))
        writer.end(ORIGIN + 20)


def test_polls_have_streams_of_their_own(tmp_path: Path) -> None:
    polled_record(tmp_path / "record")
    history = read_record(tmp_path / "record")
    found = plain(history)
    assert (found["streams"], found["poll_streams"]) == (("a",), ("app", "a"))
    assert found["polls"] == {
        "stream": [0, 1, 1],
        "seq": [NO_SEQ] * 3,
        "invoked_ns": [2, 2, 6],
        "completed_ns": [3, NO_TIME, 9],
        "outcome": [0, 2, 1],
    }
    assert (found["writes"]["seq"], found["reads"]["seq"]) == ([0], [])
    shown = describe(history)
    assert shown["writes"]["total"] == 1
    assert shown["polls"] == {
        "app": {"total": 1, "ok": 1, "failed": 0, "unknown": 0},
        "a": {"total": 2, "ok": 0, "failed": 1, "unknown": 1},
    }


def test_samples_have_streams_of_their_own(tmp_path: Path) -> None:
    with recording(tmp_path / "record") as writer:
        writer.stream("a")
        watched = [writer.sample_stream(name) for name in ("healer", "a", "healer")]
        assert watched == [0, 1, 0]
        rows = [[0, 7, ORIGIN + 2, ORIGIN + 3, OK], [1, NO_SEQ, ORIGIN + 6, NO_TIME, UNKNOWN]]
        writer.many(Kind.SAMPLE, np.array(rows))
        writer.end(ORIGIN + 20)
    history = read_record(tmp_path / "record")
    found = plain(history)
    assert (found["streams"], found["poll_streams"], found["sample_streams"]) == (("a",), (), ("healer", "a"))
    assert found["samples"] == {
        "stream": [0, 1],
        "seq": [7, NO_SEQ],
        "invoked_ns": [2, 6],
        "completed_ns": [3, NO_TIME],
        "outcome": [0, 2],
    }
    assert describe(history)["samples"] == {
        "healer": {"total": 1, "ok": 1, "failed": 0, "unknown": 0},
        "a": {"total": 1, "ok": 0, "failed": 0, "unknown": 1},
    }


def test_a_long_read_back_is_coded_in_runs(tmp_path: Path) -> None:
    path = tmp_path / "record"
    ordered = np.arange(3_000_000)
    shuffled = np.random.default_rng(1).permutation(50_000)
    with recording(path) as writer:
        a, b = writer.stream("a"), writer.stream("b")
        before = writer.bytes_written
        writer.final(a, ORIGIN, ordered)
        assert writer.bytes_written - before < 1000
        writer.final(b, ORIGIN, shuffled)
        writer.end(ORIGIN)
    finals = read_record(path).finals
    assert np.array_equal(finals[a].seqs, ordered)
    assert np.array_equal(finals[b].seqs, shuffled)


def test_a_day_at_a_thousand_writes_a_second_fits_into_4_gib(tmp_path: Path) -> None:
    """One second as the observer writes it: 1,000 writes, 200 coalesced reads, a flush each 100 ms."""
    with recording(tmp_path / "record") as writer:
        streams = [writer.stream(str(number)) for number in range(12)]
        writer.flush()
        before = writer.bytes_written
        for flush in range(10):
            for seq in range(100):
                writer.writes(streams[seq % 12], flush * 100 + seq, ORIGIN, ORIGIN, OK)
            for seq in range(20):
                writer.reads(streams[seq % 12], flush * 100 + seq, ORIGIN, ORIGIN, OK)
            writer.flush()
        second = writer.bytes_written - before
        writer.final(streams[0], ORIGIN, np.arange(7_200_000))
        final = writer.bytes_written - before - second
    assert second == 1210 * SLOT_BYTES
    assert before + 86_400 * second + 12 * final < 3.2 * 2**30


def test_a_record_larger_than_one_chunk(tmp_path: Path) -> None:
    """Blocks lie across the borders of the chunks in which a record is read."""
    path, count = tmp_path / "record", 400_000
    with recording(path) as writer:
        streams = [writer.stream(str(number)) for number in range(3)]
        for seq in range(count):
            writer.writes(streams[seq % 3], seq // 3, ORIGIN + seq, ORIGIN + seq + 5, seq % 3)
        writer.final(streams[1], ORIGIN, np.arange(count))
        writer.end(ORIGIN + count)
    history = read_record(path)
    expected = np.arange(count)
    assert history.warnings == ()
    assert np.array_equal(history.writes.seq, expected // 3)
    assert np.array_equal(history.writes.stream, expected % 3)
    assert np.array_equal(history.writes.outcome, expected % 3)
    assert np.array_equal(history.writes.completed_ns, expected + 5)
    assert isinstance(history.finals[1], Final)
    data = bytearray(path.read_bytes())
    data[9_000_000] ^= 1
    path.write_bytes(data)
    begin = next(begin for begin, end in blocks(path) if begin <= 9_000_000 < end)
    with pytest.raises(UsageError, match=f"damaged at byte {begin}:"):
        read_record(path)


def test_a_text_longer_than_one_chunk(tmp_path: Path) -> None:
    path, label = tmp_path / "record", "é" * 4_500_000
    with recording(path) as writer:
        writer.mark("drained", ORIGIN, label)
        writer.mark("load_end", ORIGIN)
    assert read_record(path).marks == (Mark("drained", 0, label), Mark("load_end", 0))
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    assert "torn block" in read_record(path).warnings[0]
    path.write_bytes(data[:5_000_000])
    assert read_record(path).warnings == (
        f"record ends in a torn block: its last {5_000_000 - blocks(path)[0][1]} bytes, with 0 operations in them, "
        "were dropped.",
        NO_END,
    )
