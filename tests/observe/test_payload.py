"""Rows that say by themselves whether they are whole."""

import zlib

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.observe.payload import Opener, Seal, filler


def test_a_checksum_is_that_of_drill_stream_payload_and_seq() -> None:
    payload = filler(30)
    assert payload == "abcdefghijklmnopqrstuvwxyzabcd"
    assert Seal("d1", 3, payload).of(b"42") == str(zlib.crc32(f"d1|3|{payload}|42".encode())).encode()


@pytest.mark.parametrize("changed", ["drill", "stream", "seq", "payload", "checksum"])
def test_whatever_is_changed_is_seen(changed: str) -> None:
    row = {"drill": "d1", "stream": 3, "seq": "42", "payload": filler(30)}
    row["checksum"] = Seal("d1", 3, filler(30)).of(b"42").decode()
    assert Opener("d1", 3).is_whole(row["seq"], row["payload"], row["checksum"])
    row[changed] = 4 if changed == "stream" else f"{row[changed]}0"
    assert not Opener(row["drill"], row["stream"]).is_whole(row["seq"], row["payload"], row["checksum"])


def test_payloads_of_two_sizes_are_opened_in_turn() -> None:
    opener = Opener("d1", 0)
    for payload in (filler(10), filler(100), filler(10)):
        assert opener.is_whole("7", payload, Seal("d1", 0, payload).of(b"7").decode())


def test_a_payload_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(UsageError, match="2000000 bytes is too large"):
        filler(2_000_000)
