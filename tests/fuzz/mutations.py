"""Mutations of valid inputs: of their bytes, of the JSON they are, and of a record's slots.

All randomness comes from the `random.Random` that is given, so an input is known by its seed.
"""

import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from chaosdrills.observe.slots import SLOT_BYTES, Kind

Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]

NUMBERS = (0, 1, -1, 2, 255, 2**31, -(2**31), 2**61, -(2**61), 2**62, 2**63 - 1, -(2**63), 2**64, 10**30)
FLOATS = (0.5, -0.0, 1e-320, 5e-10, 1e6, 1e9, 2.3e9, 9.1e9, 1e18, 1e308, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "0", "ok", "unknown", "kafka", "\ud800", "\x00", "ü" * 300, "${kafka_topic}", "fault_end", "log", "healed")
VALUES: tuple[Any, ...] = (*NUMBERS, *FLOATS, *TEXTS, None, True, False, [], {}, [[]], {"": None}, [None], ["a", 1])
PIECES = (
    b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x00", b"NaN", b"-Infinity", b"1e999", b"1e9999999999999999999",
    b"[" * 3000, b'{"a":' * 3000, b"9" * 5000, b"0." + b"1" * 400, b'"\\ud800"', b"null", b"true", b"\n", b"\r", b"{}",
    b'"',
    b'"outcome":"ok",', b'"seq":0,', b'"kind":"end",', b'"version":1,', b'"rto_s":600,', b'"at_s":1e7,', b'"\\u0000"',
)  # fmt: skip


def changed_bytes(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """`data` with a few bits flipped, spans cut, doubled or moved in from `others`, and pieces put in."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice((_flipped, _truncated, _cut, _doubled, _spliced, _inserted))(rng, data, others)
    return data


def changed_json(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """`data`, one JSON value, with a few of its parts changed; unchanged if it is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _changed_value(rng, value)
    text = json.dumps(value).encode()
    return _with_repeated_key(rng, text) if rng.random() < 0.1 else text


def changed_lines(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """`data`, lines of JSON, with lines changed, dropped, doubled, swapped, or taken from `others`."""
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                del lines[at : at + rng.choice((1, 1, 3))]
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 2:
                lines.insert(at, rng.choice(rng.choice(others).split(b"\n")))
            case 3:
                lines[at] = changed_bytes(rng, lines[at], others)
            case _:
                lines[at] = changed_json(rng, lines[at], others)
        lines = lines or [b""]
    return b"\n".join(lines)


def changed_slots(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """`data`, a record, with slots changed, dropped, doubled or moved; most often with seals that are right again."""
    slots = [data[at : at + SLOT_BYTES] for at in range(0, len(data), SLOT_BYTES)]
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(slots))
        match rng.randrange(7):
            case 0:
                del slots[at]
            case 1:
                slots.insert(rng.randrange(len(slots)), slots[at])
            case 2:
                other = rng.randrange(len(slots))
                slots[at], slots[other] = slots[other], slots[at]
            case 3:
                slots[at] = changed_bytes(rng, slots[at], others)[:SLOT_BYTES].ljust(SLOT_BYTES, b"\0")
            case _:
                slots[at] = _changed_slot(rng, slots[at])
        slots = slots or [b""]
    return sealed(slots) if rng.random() < 0.8 else b"".join(slots)


def sealed(slots: Sequence[bytes]) -> bytes:
    """The record that `slots` are, every seal in it made right."""
    whole, block, blocks = bytearray(), 0, 0
    for slot in slots:
        if slot[:1] != bytes([Kind.SEAL]):
            whole += slot
            block += 1
            continue
        whole += struct.pack("<BBHIqqq", Kind.SEAL, 0, 0, zlib.crc32(whole), blocks, block, 0)
        block, blocks = 0, blocks + 1
    return bytes(whole)


def _flipped(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _truncated(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _cut(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 2, 8, 32, 200)) :]


def _doubled(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at : at + rng.choice((1, 8, 32, 200))] + data[at:]


def _spliced(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _inserted(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(PIECES) + data[at + rng.choice((0, 0, 1, 4)) :]


def _changed_slot(rng: random.Random, slot: bytes) -> bytes:
    """One field of the slot, anything that fits into it."""
    if len(slot) < SLOT_BYTES:
        return slot
    fields = list(struct.unpack("<BBHIqqq", slot))
    at = rng.choice((0, 1, 3, 4, 5, 6, 4, 5, 6))
    bits, signed = ((8, 0), (8, 0), (16, 0), (32, 0), (64, 1), (64, 1), (64, 1))[at]
    value = rng.choice((*NUMBERS, fields[at] + 1, fields[at] - 1, rng.getrandbits(bits))) & ((1 << bits) - 1)
    fields[at] = value - (1 << bits) if signed and value >> (bits - 1) else value
    return struct.pack("<BBHIqqq", *fields)


def _changed_value(rng: random.Random, value: Any) -> Any:
    """`value` with something inside it, or itself, replaced, dropped, doubled or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        match rng.randrange(8):
            case 0:
                return {name: it for name, it in value.items() if name != key}
            case 1:
                return {**value, rng.choice((*value, "more", "")): rng.choice(VALUES)}
            case 2:
                return {(f"{name}s" if name == key else name): it for name, it in value.items()}
            case _:
                return {**value, key: _changed_value(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        match rng.randrange(4):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value[:at], value[at], *value[at:]]
            case _:
                return [*value[:at], _changed_value(rng, value[at]), *value[at + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.5:
        return rng.choice((value + 1, -value, value * 1000, value / 3 if abs(value) < 1e300 else 0, str(value)))
    return rng.choice(VALUES)


def _with_repeated_key(rng: random.Random, text: bytes) -> bytes:
    """A key of the text a second time, with another value."""
    at = text.find(b'{"', rng.randrange(len(text) + 1))
    if at < 0:
        return text
    key = text[at + 1 : text.find(b'"', at + 2) + 1]
    return text[: at + 1] + key + b":" + json.dumps(rng.choice(VALUES)).encode() + b"," + text[at + 1 :]
