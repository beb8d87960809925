"""Payloads, byte by byte."""

import zlib

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.kafka.payload import Alien, Opener, Sealer, head, smallest_bytes, where_and_which

DRILL = "drill-1"


def test_the_bytes_are_those_of_the_specification() -> None:
    sealed = Sealer(DRILL, 5, 40).seal(258)
    before = b"CDK1" + b"\0\0\0\x28" + b"\0\0\0\x05" + b"\x07" + b"drill-1" + bytes(range(8)) + b"\0\0\0\0\0\0\1\2"
    assert sealed == before + zlib.crc32(before).to_bytes(4, "big")
    assert len(sealed) == 40


@pytest.mark.parametrize("size", [smallest_bytes(DRILL), 33, 100, 1000])
@pytest.mark.parametrize("seq", [0, 1, 255, 256, 2**40, 2**63 - 1])
def test_what_was_sealed_is_opened(size: int, seq: int) -> None:
    sealed = Sealer(DRILL, 3, size).seal(seq)
    opener = Opener(DRILL, 3)
    assert (len(sealed), opener.open(sealed), opener.open(sealed)) == (size, seq, seq)


@pytest.mark.parametrize("size", [smallest_bytes(DRILL), 33, 100])
def test_many_are_taken_apart_together(size: int) -> None:
    numbers = [(5, 0), (1, 258), (0, 2**40), (5, 2**63 - 1)]
    payloads = [Sealer(DRILL, partition, size).seal(seq) for partition, seq in numbers]
    partitions, seqs = where_and_which(payloads, size)
    assert list(zip(partitions.tolist(), seqs.tolist(), strict=True)) == numbers
    assert [len(column) for column in where_and_which([], size)] == [0, 0]


def test_several_are_sealed_as_one_by_one() -> None:
    sealer = Sealer(DRILL, 2, 50)
    assert sealer.seal_all(range(250, 260)) == [sealer.seal(seq) for seq in range(250, 260)]


@pytest.mark.parametrize("warm", [False, True])
def test_every_flipped_bit_is_noticed(warm: bool) -> None:
    """Damage before and within the drill's id makes a message foreign, all other damage damaged."""
    opener = Opener(DRILL, 3)
    if warm:
        opener.open(Sealer(DRILL, 3, 60).seal(6))
    sealed = Sealer(DRILL, 3, 60).seal(7)
    for bit in range(8 * len(sealed)):
        broken = bytearray(sealed)
        broken[bit // 8] ^= 1 << bit % 8
        foreign = bit // 8 < 4 or 12 <= bit // 8 < 13 + len(DRILL)
        assert opener.open(bytes(broken)) is (Alien.FOREIGN if foreign else Alien.DAMAGED), bit
    assert opener.open(sealed) == 7


@pytest.mark.parametrize("warm", [False, True])
def test_every_cut_is_noticed(warm: bool) -> None:
    opener = Opener(DRILL, 3)
    if warm:
        opener.open(Sealer(DRILL, 3, 60).seal(6))
    sealed = Sealer(DRILL, 3, 60).seal(7)
    for length in range(len(sealed)):
        foreign = length < 13 + len(DRILL)
        assert opener.open(sealed[:length]) is (Alien.FOREIGN if foreign else Alien.DAMAGED), length
    assert opener.open(sealed + b"\0") is Alien.DAMAGED


def test_another_drill_is_foreign_and_another_partition_damaged() -> None:
    opener = Opener(DRILL, 3)
    assert opener.open(Sealer("drill-2", 3, 60).seal(7)) is Alien.FOREIGN
    assert opener.open(Sealer("drill-10", 3, 60).seal(7)) is Alien.FOREIGN
    assert opener.open(Sealer("drill-", 3, 60).seal(7)) is Alien.FOREIGN
    assert opener.open(Sealer(DRILL, 4, 60).seal(7)) is Alien.DAMAGED
    assert opener.open(None) is Alien.FOREIGN
    assert opener.open(b"") is Alien.FOREIGN


@pytest.mark.parametrize(
    ("drill_id", "size", "message"),
    [
        (DRILL, 31, "31 bytes is too small"),
        (DRILL, 1_000_001, "too large"),
        ("", 100, "has 0 bytes"),
        ("x" * 65, 100, "has 65 bytes"),
    ],
)
def test_what_does_not_fit_is_refused(drill_id: str, size: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        head(drill_id, 0, size)
    assert smallest_bytes(DRILL) == 32
