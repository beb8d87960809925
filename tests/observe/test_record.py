"""The record: its bytes, that every prefix of it opens, and that no damage goes unnoticed."""

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
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
from chaosdrills.errors import DrillError, InternalError, UsageError
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.reading import describe, open_history, read_record
from chaosdrills.observe.record import BLOCK_SLOTS, SLOT, SLOT_BYTES, Kind, RecordWriter
from tests.core.test_exchange import DESIGN, histories, plain

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
        b"\x89chaosdrills\r\n\x1a\n" + b"\x01\0\0\0\0\0\0\0" + b"\x20\0\0\0\0\0\0\0",
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
        b"\x07" + bytes(7) + b"\x11\0\0\0\0\0\0\0" + b"\x02\0\0\0\0\0\0\0" + b"\x03\0\0\0\0\0\0\0",
        b"\x07" + bytes(7) + b"\x11\0\0\0\0\0\0\0" + b"\x01\0\0\0\0\0\0\0" + b"\xff" * 8,
    )
    seal(3, b"\x08" + bytes(7) + b"\x11\0\0\0\0\0\0\0" + bytes(8) + b"\x03\0\0\0\0\0\0\0")
    seal(4, b"\x09" + bytes(7) + b"\x12\0\0\0\0\0\0\0" + bytes(16))
    assert path.read_bytes() == expected


def test_numpy_reads_it_without_a_copy(tmp_path: Path) -> None:
    small_record(tmp_path / "record")
    slots = np.memmap(tmp_path / "record", SLOT, "r")
    writes = slots[slots["kind"] == Kind.WRITE]
    assert writes["seq"].tolist() == [0, 0, 1]
    assert writes["invoked_ns"].tolist() == [1, 2, 6]


@settings(max_examples=200, deadline=None)
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


def test_every_prefix_opens_and_invents_nothing(tmp_path: Path) -> None:
    small_record(tmp_path / "whole")
    data, borders = (tmp_path / "whole").read_bytes(), [end for _, end in blocks(tmp_path / "whole")]
    path = tmp_path / "record"
    for size in range(len(data)):
        path.write_bytes(data[:size])
        if size < borders[0]:
            with pytest.raises(UsageError, match="holds no header"):
                read_record(path)
            continue
        whole = max(end for end in borders if end <= size)
        lost = sum(data[at] in (Kind.WRITE, Kind.READ) for at in range(whole, size - SLOT_BYTES + 1, SLOT_BYTES))
        torn = (
            f"record ends in a torn block: its last {size - whole} bytes, with {lost} "
            f"operation{'' if lost == 1 else 's'} in them, were dropped."
        )
        unfinished = "record holds an unfinished read-back of stream 'a', which was dropped."
        history = read_record(path)
        assert history.warnings == (
            *((torn,) if size > whole else ()),
            *((unfinished,) if whole == borders[3] else ()),
            NO_END,
        )
        sealed = borders.index(whole)
        seen = plain(history)
        assert seen["writes"] == (SMALL["writes"] if sealed >= 1 else {key: [] for key in SMALL["writes"]})
        assert seen["reads"] == (SMALL["reads"] if sealed >= 1 else {key: [] for key in SMALL["reads"]})
        assert seen["marks"] == (SMALL["marks"] if sealed >= 2 else ())
        assert seen["finals"] == {n: SMALL["finals"][n] for n in range(2) if sealed >= (4, 5)[n]}
        assert seen["end_ns"] is None


def test_a_flipped_bit_anywhere_is_an_error_that_names_the_block(tmp_path: Path) -> None:
    small_record(tmp_path / "whole")
    data, spans = (tmp_path / "whole").read_bytes(), blocks(tmp_path / "whole")
    path = tmp_path / "record"
    last_seal = len(data) - SLOT_BYTES
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        if at == last_seal:  # no seal any more: the tail is torn
            assert NO_END in read_record(path).warnings
            continue
        with pytest.raises(UsageError, match=r"byte \d+") as caught:
            read_record(path)
        begin = next(begin for begin, end in spans if begin <= at < end)
        if begin:
            assert f"record is damaged at byte {begin}:" in caught.value.message
            path.write_bytes(data[:begin])  # what the hint says
            assert f"'truncate -s {begin}'" in caught.value.hint
            assert read_record(path).warnings[-1] == NO_END


def test_blocks_that_are_missing_repeated_or_from_another_record(tmp_path: Path) -> None:
    small_record(tmp_path / "whole")
    with recording(tmp_path / "other") as writer:
        writer.stream("x")
    data, other = (tmp_path / "whole").read_bytes(), (tmp_path / "other").read_bytes()
    spans, path = blocks(tmp_path / "whole"), tmp_path / "record"
    (begin, end), (start, stop) = spans[1], blocks(tmp_path / "other")[1]
    for bad, offset in (
        (data[:begin] + data[end:], begin),
        (data[:end] + data[begin:], end),
        (data[:begin] + other[start:stop], begin),
        (data[:begin] + bytes(32) + data[begin:], begin),
        (data + data[begin:end], len(data)),
    ):
        path.write_bytes(bad)
        with pytest.raises(UsageError, match=f"damaged at byte {offset}:"):
            read_record(path)
    path.write_bytes(data + bytes(4096))
    assert read_record(path).warnings == (
        "record ends in a torn block: its last 4096 bytes, with 0 operations in them, were dropped.",
    )


def sealed(data: bytes, slots: bytes) -> bytes:
    """`data`, a record, with one more block whose seal is right."""
    number = int(np.sum(np.frombuffer(data, SLOT)["kind"] == Kind.SEAL))
    crc = zlib.crc32(data + slots)
    return data + slots + struct.pack("<BBHIqqq", Kind.SEAL, 0, 0, crc, number, len(slots) // 32, 0)


def slot(kind: int, outcome: int = 0, stream: int = 0, invoked: int = 0, completed: int = 0, seq: int = 0) -> bytes:
    return struct.pack("<BBHIqqq", kind, outcome, 0, stream, invoked, completed, seq)


def text(kind: int, value: str, **fields: int) -> bytes:
    assert len(value) <= 31
    return slot(kind, seq=len(value), **fields) + b"\x06" + value.encode().ljust(31, b"\0")


@pytest.mark.parametrize(
    ("slots", "what"),
    [
        (slot(11), "a slot of the unknown kind 11"),
        (slot(Kind.WRITE, seq=9), None),
        (slot(Kind.WRITE, seq=9, stream=1), "a write that cannot be"),
        (slot(Kind.WRITE, seq=9, stream=2**31), "a write that cannot be"),
        (slot(Kind.WRITE, seq=-1), "a write that cannot be"),
        (slot(Kind.READ, seq=-1), None),
        (slot(Kind.READ, seq=-2), "a read that cannot be"),
        (slot(Kind.WRITE, seq=9, outcome=3), "a write that cannot be"),
        (slot(Kind.WRITE, seq=9, invoked=1), "a write that cannot be"),
        (slot(Kind.WRITE, seq=9, completed=NO_TIME), "a write that cannot be"),
        (slot(Kind.WRITE, seq=9, completed=NO_TIME, outcome=2), None),
        (text(Kind.STREAM, '"b"', stream=1), None),
        (text(Kind.STREAM, '"b"', stream=2), "a text that is not a stream"),
        (text(Kind.STREAM, '"a"', stream=1), "a text that is not a stream"),
        (text(Kind.STREAM, "7", stream=1), "a text that is not a stream"),
        (text(Kind.STREAM, '"b', stream=1), "a text that is not a stream"),
        (slot(Kind.STREAM, stream=1, seq=99), "a text that is cut short"),
        (slot(Kind.STREAM, stream=1, seq=-99), "a text that is cut short"),
        (slot(Kind.CONT), "a text without a head"),
        (text(Kind.MARK, '{"name":"fault","label":""}'), "a text that is not a mark"),
        (text(Kind.MARK, '{"name":"drained"}'), "a text that is not a mark"),
        (text(Kind.MARK, "[]"), "a text that is not a mark"),
        (text(Kind.HEADER, '{"service":"x"}'), "a text that is not a header"),
        (slot(Kind.FINAL_RUN, seq=-2, completed=1), "a read-back that cannot be"),
        (slot(Kind.FINAL_RUN, completed=0), "a read-back that cannot be"),
        (slot(Kind.FINAL, stream=1), "a read-back that cannot be"),
        (slot(Kind.FINAL_RUN, completed=2) + slot(Kind.FINAL, seq=2), None),
        (slot(Kind.END) + slot(Kind.WRITE, seq=9), "an end that is not the end"),
        (b"\x89chaosdrills\r\n\x1a\n" + bytes(16), "a beginning that is not at the beginning"),
    ],
)
def test_what_a_sound_block_cannot_hold(tmp_path: Path, slots: bytes, what: str | None) -> None:
    path = tmp_path / "record"
    with recording(path) as writer:
        writer.stream("a")
    data = path.read_bytes()
    path.write_bytes(sealed(data, slots))
    if what is None:
        assert read_record(path).warnings == (NO_END,)
        return
    with pytest.raises(UsageError) as caught:
        read_record(path)
    assert caught.value.message == f"record is damaged at byte {len(data)}: {what}."


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        (
            slot(Kind.WRITE, seq=9) * 2,
            "record holds seq 9 of stream 'a' twice, as operations 0 and 1.",
        ),
        (
            slot(Kind.FINAL) * 2,
            "record holds a read-back of stream 'a' that is its second, or does not add up.",
        ),
        (
            slot(Kind.FINAL_RUN, completed=3) + slot(Kind.FINAL, seq=2),
            "record holds a read-back of stream 'a' that is its second, or does not add up.",
        ),
    ],
)
def test_what_a_record_cannot_hold_twice(tmp_path: Path, slots: bytes, message: str) -> None:
    path = tmp_path / "record"
    with recording(path) as writer:
        writer.stream("a")
    path.write_bytes(sealed(path.read_bytes(), slots))
    with pytest.raises(UsageError) as caught:
        read_record(path)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "record holds no header: it is empty."),
        (b"\x89chaos", "record holds no header: it is cut short."),
        (b"\x89PNG", "record is not a record: it does not begin with a record's magic (byte 0)."),
        (b'{"kind":"header"}\n' * 9, "record is not a record: it does not begin with a record's magic (byte 0)."),
        (
            sealed(b"", b"\x89chaosdrills\r\n\x1a\n" + struct.pack("<QQ", 2, 32)),
            "record is of format version 2 (byte 16); this chaosdrills reads version 1.",
        ),
        (
            sealed(b"", b"\x89chaosdrills\r\n\x1a\n" + struct.pack("<QQ", 1, 64)),
            "record has slots of 64 bytes (byte 24), not 32.",
        ),
        (
            sealed(b"", b"\x89chaosdrills\r\n\x1a\n" + struct.pack("<QQ", 1, 32)),
            "record is damaged at byte 0: a beginning that is not at the beginning.",
        ),
    ],
)
def test_what_is_no_record(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "record"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_record(path)
    assert caught.value.message == message


def test_open_history_takes_lines_records_and_folders(tmp_path: Path) -> None:
    lines = tmp_path / "history.jsonl"
    lines.write_text("\n".join(DESIGN))
    assert plain(open_history(lines)) == plain(parse(DESIGN))
    lines.write_text("\n".join([*DESIGN, "{"]))
    with pytest.raises(UsageError) as caught:
        open_history(lines)
    assert caught.value.message.startswith("history.jsonl: line 7: is not JSON")
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
        "bytes": path.stat().st_size,
        "warnings": [],
    }
    assert describe(parse(DESIGN[:2]), 0)["duration_s"] == 0.004
    assert describe(parse(DESIGN[:1]), 0)["duration_s"] is None


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
