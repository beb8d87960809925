"""Accidents to a record: every prefix of it opens, and no damage goes unnoticed."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from chaosdrills.core.history import NO_TIME
from chaosdrills.errors import UsageError
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.slots import SLOT, SLOT_BYTES, Kind
from tests.core.test_exchange import plain
from tests.observe.test_record import NO_END, ORIGIN, SMALL, blocks, recording, small_record


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


def test_nothing_follows_the_end(tmp_path: Path) -> None:
    path = tmp_path / "record"
    small_record(path)
    data = path.read_bytes()
    path.write_bytes(sealed(data, slot(Kind.WRITE, seq=9)))
    end = len(data) - 2 * SLOT_BYTES
    with pytest.raises(UsageError, match=f"damaged at byte {end}: an end that is not the end"):
        read_record(path)
    filler = slot(Kind.READ, seq=1) * ((1 << 22) // SLOT_BYTES)
    with recording(tmp_path / "long") as writer:
        writer.stream("a")
        writer.end(ORIGIN)
    data = (tmp_path / "long").read_bytes()
    path.write_bytes(sealed(data, filler))
    with pytest.raises(UsageError, match=f"damaged at byte {len(data)}: a block after the end"):
        read_record(path)


def slot(kind: int, outcome: int = 0, stream: int = 0, invoked: int = 0, completed: int = 0, seq: int = 0) -> bytes:
    return struct.pack("<BBHIqqq", kind, outcome, 0, stream, invoked, completed, seq)


def shown(value: bytes | str | None) -> str:
    """A parameter in the name of its test: the kinds of slots, or the message."""
    if isinstance(value, bytes):
        return "+".join(str(kind) for kind in value[::SLOT_BYTES])
    return value or "sound"


def text(kind: int, value: str, **fields: int) -> bytes:
    assert len(value) <= 31
    return slot(kind, seq=len(value), **fields) + b"\x06" + value.encode().ljust(31, b"\0")


@pytest.mark.parametrize(
    ("slots", "what"),
    [
        (slot(16), "a slot of the unknown kind 16"),
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
        (text(Kind.POLL_STREAM, '"a"') + slot(Kind.POLL, seq=-1), None),
        (text(Kind.POLL_STREAM, '"a"', stream=1), "a text that is not a poll stream"),
        (text(Kind.POLL_STREAM, "7"), "a text that is not a poll stream"),
        (slot(Kind.POLL, seq=-1), "a poll that cannot be"),
        (text(Kind.SAMPLE_STREAM, '"a"') + slot(Kind.SAMPLE, seq=7), None),
        (text(Kind.SAMPLE_STREAM, '"a"', stream=1), "a text that is not a sample stream"),
        (slot(Kind.SAMPLE, seq=7), "a sample that cannot be"),
        (text(Kind.MARK, '{"name":"fault","label":""}'), "a text that is not a mark"),
        (text(Kind.MARK, '{"name":"drained"}'), "a text that is not a mark"),
        (text(Kind.MARK, "[]"), "a text that is not a mark"),
        (text(Kind.NOTE, '{"text":"aha"}'), None),
        (text(Kind.NOTE, '{"text":""}'), "a text that is not a note"),
        (text(Kind.NOTE, '{"text":7}'), "a text that is not a note"),
        (text(Kind.NOTE, '"aha"'), "a text that is not a note"),
        (slot(Kind.NOTE, seq=40), "a text that is cut short"),
        (text(Kind.HEADER, '{"service":"x"}'), "a text that is not a header"),
        (slot(Kind.FINAL_RUN, seq=-2, completed=1), "a read-back that cannot be"),
        (slot(Kind.FINAL_RUN, completed=0), "a read-back that cannot be"),
        (slot(Kind.FINAL, stream=1), "a read-back that cannot be"),
        (slot(Kind.FINAL_RUN, completed=2) + slot(Kind.FINAL, seq=2), None),
        (slot(Kind.END) + slot(Kind.WRITE, seq=9), "an end that is not the end"),
        (b"\x89chaosdrills\r\n\x1a\n" + bytes(16), "a beginning that is not at the beginning"),
    ],
    ids=shown,
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
    ids=shown,
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
            sealed(b"", b"\x89chaosdrills\r\n\x1a\n" + struct.pack("<QQ", 5, 32)),
            "record is of format version 5 (byte 16); this chaosdrills reads versions 1 to 4.",
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


@pytest.mark.parametrize(
    ("slots", "wrong"),
    [
        (b"", 0),
        (slot(Kind.POLL, seq=0), 64),
        (slot(Kind.POLL, seq=-1, stream=1), 64),
        (slot(Kind.POLL, seq=-1, completed=NO_TIME), 64),
        (slot(Kind.POLL, seq=-1, outcome=3), 64),
        (text(Kind.POLL_STREAM, '"app"', stream=1), 64),
    ],
)
def test_polls_that_cannot_be(tmp_path: Path, slots: bytes, wrong: int) -> None:
    path = tmp_path / "record"
    with recording(path):
        pass
    data = path.read_bytes()
    path.write_bytes(sealed(data, text(Kind.POLL_STREAM, '"app"') + slots))
    if not slots:
        assert read_record(path).poll_streams == ("app",)
        return
    with pytest.raises(UsageError, match=f"damaged at byte {len(data) + wrong}: .* that "):
        read_record(path)


@pytest.mark.parametrize(
    ("slots", "wrong"),
    [
        (b"", 0),
        (slot(Kind.SAMPLE, seq=-1), 64),
        (slot(Kind.SAMPLE, seq=2**40), 64),
        (slot(Kind.SAMPLE, seq=7, outcome=1), 64),
        (slot(Kind.SAMPLE, seq=7, stream=1), 64),
        (slot(Kind.SAMPLE, seq=7, completed=NO_TIME), 64),
        (text(Kind.SAMPLE_STREAM, '"healer"', stream=1), 64),
    ],
)
def test_samples_that_cannot_be(tmp_path: Path, slots: bytes, wrong: int) -> None:
    path = tmp_path / "record"
    with recording(path):
        pass
    data = path.read_bytes()
    path.write_bytes(sealed(data, text(Kind.SAMPLE_STREAM, '"healer"') + slots))
    if not slots:
        assert read_record(path).sample_streams == ("healer",)
        return
    with pytest.raises(UsageError, match=f"damaged at byte {len(data) + wrong}: .* that "):
        read_record(path)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_record_of_an_older_version_opens_and_knows_no_samples(tmp_path: Path, version: int) -> None:
    path = tmp_path / "record"
    with recording(path) as writer:
        writer.stream("a")
    header = path.read_bytes()[: blocks(path)[0][1] - SLOT_BYTES]
    old = sealed(b"", header[:16] + struct.pack("<QQ", version, 32) + header[32:])
    path.write_bytes(sealed(old, text(Kind.STREAM, '"a"') + slot(Kind.WRITE, seq=3)))
    assert read_record(path).writes.seq.tolist() == [3]
    for kind, slots in ((15, text(Kind.SAMPLE_STREAM, '"a"')), (14, slot(Kind.SAMPLE, seq=1))):
        path.write_bytes(sealed(old, slots))
        with pytest.raises(UsageError, match=f"damaged at byte {len(old)}: a slot of the unknown kind {kind}"):
            read_record(path)


@pytest.mark.parametrize("version", [1, 2])
def test_a_record_of_an_older_version_opens_and_knows_no_polls(tmp_path: Path, version: int) -> None:
    path = tmp_path / "record"
    with recording(path) as writer:
        writer.stream("a")
    header = path.read_bytes()[: blocks(path)[0][1] - SLOT_BYTES]
    old = sealed(b"", header[:16] + struct.pack("<QQ", version, 32) + header[32:])
    path.write_bytes(sealed(old, text(Kind.STREAM, '"a"') + slot(Kind.WRITE, seq=3)))
    assert read_record(path).writes.seq.tolist() == [3]
    for kind, slots in ((13, text(Kind.POLL_STREAM, '"a"')), (12, slot(Kind.POLL, seq=-1))):
        path.write_bytes(sealed(old, slots))
        with pytest.raises(UsageError, match=f"damaged at byte {len(old)}: a slot of the unknown kind {kind}"):
            read_record(path)


def test_a_record_of_version_1_opens_and_knows_no_notes(tmp_path: Path) -> None:
    """As it was written before there were notes; one in it is damage, as it was then."""
    path = tmp_path / "record"
    with recording(path) as writer:
        writer.stream("a")
    header = path.read_bytes()[: blocks(path)[0][1] - SLOT_BYTES]
    old = sealed(b"", header[:16] + struct.pack("<QQ", 1, 32) + header[32:])
    path.write_bytes(sealed(old, text(Kind.STREAM, '"a"') + slot(Kind.WRITE, seq=3)))
    assert read_record(path).writes.seq.tolist() == [3]
    path.write_bytes(sealed(old, text(Kind.NOTE, '{"text":"aha"}')))
    with pytest.raises(UsageError, match=f"damaged at byte {len(old)}: a slot of the unknown kind 11"):
        read_record(path)
