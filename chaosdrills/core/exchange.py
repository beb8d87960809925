"""Histories as lines of JSON: the form in which anyone can write one, and a record is exported.

One object a line, of these kinds, in any order::

    {"kind":"header","version":1,"service":"kafka","stream_kind":"log","started_at":"2026-11-23T08:00:00Z"}
    {"kind":"write","stream":"0","seq":0,"invoked_s":0.0,"completed_s":0.004,"outcome":"ok"}
    {"kind":"read","stream":"0","seq":0,"invoked_s":0.001,"completed_s":0.009,"outcome":"ok"}
    {"kind":"poll","stream":"app","invoked_s":1.0,"completed_s":1.01,"outcome":"ok"}
    {"kind":"sample","stream":"healer","count":3,"invoked_s":1.0,"completed_s":1.01,"outcome":"ok"}
    {"kind":"mark","name":"fault_begin","at_s":10.0,"label":"kill broker 1"}
    {"kind":"final","stream":"0","at_s":40.0,"seqs":[0,1,2,4,3]}
    {"kind":"end","at_s":41.0}

`header` exactly once; `stream_kind` is ``log`` or ``register``; `outcome` is ``ok``, ``failed`` or ``unknown``.
`completed_s` is null only where the outcome is unknown, and never before `invoked_s`. The seq of a read is null where
it found nothing, one of `seqs` where it was damaged. A stream has each seq written once and one `final` at most. A
mark's label may be left out; `end` is missing if the observer died. Blank lines and keys that are not known are passed
over. The header's are kept; its `streams`, a list of names, is optional and says in which order streams are numbered.

A poll is one of an endpoint beside the load: ``ok`` if it answered as it should, ``failed`` if it answered, and badly,
``unknown`` if no answer came in time or the connection broke. Its `stream` is a name among those of polls, which have
nothing to do with the streams of writes and reads (`poll_streams` of the header is to them what `streams` is to those).

A sample is one look at a count that somebody else keeps (`chaosdrills.core.attempts`): ``ok`` with the `count` that was
seen, else with null. Its `stream` is a name among those of samples (`sample_streams` of the header).

Seconds are read to the nearest nanosecond and written with as many decimals as they need.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NoReturn, TypeGuard, cast

import numpy as np

from chaosdrills.core.columns import MAX_SEQ, Columns, first_repeat
from chaosdrills.core.history import (
    FURTHEST_NS,
    MARK_NAMES,
    MOST_COUNT,
    NO_SEQ,
    NO_TIME,
    NS,
    Final,
    History,
    Ints,
    Mark,
    Operations,
    Outcome,
    StreamKind,
)
from chaosdrills.core.strict import without_repeats
from chaosdrills.errors import UsageError

VERSION = 1
STREAM_KINDS = ("log", "register")
_NUMBERED = ("streams", "poll_streams", "sample_streams")
HEADER_KEYS = frozenset({"kind", "version", "service", "stream_kind", "started_at", *_NUMBERED})

_OUTCOMES = {outcome.name.lower(): int(outcome) for outcome in Outcome}
_OUTCOME_NAMES = tuple(_OUTCOMES)
_UNKNOWN = int(Outcome.UNKNOWN)
_UNREADABLE = {UnicodeDecodeError: "not UTF-8", RecursionError: "nested too deeply"}
_MISSING = object()
_EXACT_S = 1e6  # below this, a float times 1e9 rounds to the nanosecond that was written
_LIMIT_S = FURTHEST_NS / NS
_ROWS = 10_000  # operations formatted at once

Row = dict[str, Any]


def parse(lines: Iterable[str | bytes]) -> History:
    """The history that `lines` are, with or without line ends. Streams are numbered as they come.

    Raises `UsageError`, naming the line and the field, for whatever is not as the module's docstring says.
    """
    parser = _Parser()
    for number, line in enumerate(lines, 1):
        parser.take(number, line)
    return parser.history()


def format_lines(history: History) -> Iterator[str]:
    """The lines of `history`, without line ends, in ASCII; `parse` gives it back (but for its warnings)."""
    names = [json.dumps(name) for name in history.streams]
    yield json.dumps(_header(history), separators=(",", ":"))
    yield from _operation_lines("write", history.writes, names, "seq")
    yield from _operation_lines("read", history.reads, names, "seq")
    yield from _operation_lines("poll", history.polls, list(map(json.dumps, history.poll_streams)))
    yield from _operation_lines("sample", history.samples, list(map(json.dumps, history.sample_streams)), "count")
    for mark in history.marks:
        label = f',"label":{json.dumps(mark.label)}' if mark.label else ""
        yield f'{{"kind":"mark","name":"{mark.name}","at_s":{_seconds(mark.at_ns)}{label}}}'
    for stream, final in history.finals.items():
        seqs = ",".join("null" if seq == NO_SEQ else str(seq) for seq in final.seqs.tolist())
        yield f'{{"kind":"final","stream":{names[stream]},"at_s":{_seconds(final.at_ns)},"seqs":[{seqs}]}}'
    if history.end_ns is not None:
        yield f'{{"kind":"end","at_s":{_seconds(history.end_ns)}}}'


class _Parser:
    """Takes lines one by one and keeps what they say."""

    def __init__(self) -> None:
        self._number = 0
        self._line = ""
        self._streams: dict[str, int] = {}
        self._poll_streams: dict[str, int] = {}
        self._sample_streams: dict[str, int] = {}
        self._writes = Columns()
        self._reads = Columns()
        self._polls = Columns()
        self._samples = Columns()
        self._marks: list[Mark] = []
        self._finals: dict[int, Final] = {}
        self._header: Row | None = None
        self._end_ns: int | None = None
        self._line_of: dict[str, int] = {}
        self._take: Mapping[str, Callable[[Row], None]] = {
            "write": lambda row: self._take_operation(row, self._writes, null_seq=False),
            "read": lambda row: self._take_operation(row, self._reads, null_seq=True),
            "poll": lambda row: self._keep(row, self._polls, self._stream(row, self._poll_streams), NO_SEQ),
            "sample": self._take_sample,
            "mark": self._take_mark,
            "final": self._take_final,
            "header": self._take_header,
            "end": self._take_end,
        }

    def take(self, number: int, line: str | bytes) -> None:
        """Read one line."""
        self._number = number
        try:
            text = line.decode() if isinstance(line, bytes) else line
            self._line = text.removeprefix("\ufeff") if number == 1 else text
            row = json.loads(self._line)
        except (ValueError, RecursionError) as error:
            if not isinstance(error, UnicodeDecodeError) and not self._line.strip():
                return
            why = _UNREADABLE.get(type(error), f"not JSON ({error})")
            self._refuse(f"is {why}", "write one JSON object a line, in UTF-8", error)
        if type(row) is not dict:
            self._refuse(f"is {_shown(row)}, not a JSON object", "write one object a line")
        if self._line.count(":") != len(row):
            self._refuse_repeated_keys()
        kind = row.get("kind")
        take = self._take.get(kind) if type(kind) is str else None
        if take is None:
            what = "has no kind" if "kind" not in row else f"has the unknown kind {_shown(kind)}"
            self._refuse(what, f"use one of {', '.join(self._take)}")
        take(row)

    def history(self) -> History:
        """What all lines together are."""
        if self._header is None:
            raise UsageError(
                "the history has no header.",
                'begin it with {"kind":"header","version":1,"service":"...","stream_kind":"log","started_at":"..."}.',
            )
        header = dict(self._header)
        streams, renumbered = _numbering(header, "streams", self._streams)
        poll_streams, polls_renumbered = _numbering(header, "poll_streams", self._poll_streams)
        sample_streams, samples_renumbered = _numbering(header, "sample_streams", self._sample_streams)
        writes = self._writes.operations(renumbered)
        self._refuse_repeats(writes, streams)
        return History(
            service=header["service"],
            stream_kind=cast(StreamKind, header["stream_kind"]),
            started_at=header["started_at"],
            streams=streams,
            writes=writes,
            reads=self._reads.operations(renumbered),
            marks=tuple(self._marks),
            finals={(s if renumbered is None else int(renumbered[s])): final for s, final in self._finals.items()},
            end_ns=self._end_ns,
            header={key: value for key, value in header.items() if key not in HEADER_KEYS or key in _NUMBERED},
            poll_streams=poll_streams,
            polls=self._polls.operations(polls_renumbered),
            sample_streams=sample_streams,
            samples=self._samples.operations(samples_renumbered),
        )

    def _refuse_repeats(self, writes: Operations, streams: tuple[str, ...]) -> None:
        repeat = first_repeat(writes)
        if repeat is not None:
            earlier, later = (self._writes.line[row] for row in repeat)
            self._number = later
            name, seq = streams[writes.stream[repeat[1]]], writes.seq[repeat[1]]
            self._refuse(
                f"writes seq {seq} of stream {_shown(name)} again (first on line {earlier})",
                "give each write of a stream its own seq, from 0 up in the order of invocation",
            )

    def _refuse_repeated_keys(self) -> None:
        """Refuse a line that has more colons than keys because a key is there twice, and not inside a text."""
        try:
            json.loads(self._line, object_pairs_hook=without_repeats)
        except (ValueError, RecursionError) as error:
            self._refuse(f"is not clear: {error}", "keep one of the two", error)

    def _take_operation(self, row: Row, columns: Columns, null_seq: bool) -> None:
        stream = self._stream(row, self._streams)
        seq = row.get("seq", _MISSING)
        if seq is None and null_seq:
            seq = NO_SEQ
        elif type(seq) is not int or not 0 <= seq <= MAX_SEQ:
            self._wrong(row, "seq", "give an integer from 0 up" + (", or null" if null_seq else ""))
        self._keep(row, columns, stream, seq)

    def _take_sample(self, row: Row) -> None:
        count = row.get("count", _MISSING)
        known = type(count) is int and 0 <= count < MOST_COUNT
        if not (known if row.get("outcome") == "ok" else count is None):
            self._wrong(row, "count", f"give an integer from 0 to {MOST_COUNT - 1}, or null if the outcome is not ok")
        self._keep(row, self._samples, self._stream(row, self._sample_streams), count if known else NO_SEQ)

    def _keep(self, row: Row, columns: Columns, stream: int, seq: int) -> None:
        """Check outcome and instants of an operation, a poll or a sample, and keep it."""
        outcome = row.get("outcome", _MISSING)
        code = _OUTCOMES.get(outcome) if type(outcome) is str else None
        if code is None:
            self._wrong(row, "outcome", f"use one of {', '.join(_OUTCOMES)}")
        invoked = self._ns(row, "invoked_s")
        if row.get("completed_s", _MISSING) is not None:
            completed = self._ns(row, "completed_s")
            if completed < invoked:
                self._wrong(row, "completed_s", f"it cannot be before invoked_s, {_shown(row['invoked_s'])}")
        elif code == _UNKNOWN:
            completed = NO_TIME
        else:
            self._wrong(row, "completed_s", f"say when it was known to be {outcome}; null is for outcome unknown")
        columns.stream.append(stream)
        columns.seq.append(seq)
        columns.invoked.append(invoked)
        columns.completed.append(completed)
        columns.outcome.append(code)
        columns.line.append(self._number)

    def _take_mark(self, row: Row) -> None:
        name = row.get("name", _MISSING)
        if name not in MARK_NAMES:
            self._wrong(row, "name", f"use one of {', '.join(MARK_NAMES)}")
        label = self._string(row, "label") if "label" in row else ""
        self._marks.append(Mark(name, self._ns(row, "at_s"), label))

    def _take_final(self, row: Row) -> None:
        stream = self._stream(row, self._streams)
        self._once(f"final of stream {_shown(row['stream'])}")
        seqs = row.get("seqs", _MISSING)
        if type(seqs) is not list:
            self._wrong(row, "seqs", "give a list of integers from 0 up, null where damaged")
        if not set(map(type, seqs)) <= {int, type(None)} or not all(seq is None or 0 <= seq <= MAX_SEQ for seq in seqs):
            bad = next(s for s in seqs if s is not None and (type(s) is not int or not 0 <= s <= MAX_SEQ))
            self._refuse(f"has {_shown(bad)} among its seqs", "give integers from 0 up, and null where damaged")
        found = np.array([NO_SEQ if seq is None else seq for seq in seqs], dtype=np.int64)
        self._finals[stream] = Final(self._ns(row, "at_s"), found)

    def _take_header(self, row: Row) -> None:
        self._once("header")
        version = row.get("version", _MISSING)
        if type(version) is not int or version != VERSION:
            self._wrong(row, "version", f"this chaosdrills reads version {VERSION}")
        for name in ("service", "started_at"):
            self._string(row, name)
        if row.get("stream_kind", _MISSING) not in STREAM_KINDS:
            self._wrong(row, "stream_kind", f"use {' or '.join(STREAM_KINDS)}")
        try:
            json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError) as error:
            self._refuse("has a header that holds no valid text or number", "give finite numbers and valid text", error)
        self._header = row

    def _take_end(self, row: Row) -> None:
        self._once("end")
        self._end_ns = self._ns(row, "at_s")

    def _once(self, what: str) -> None:
        first = self._line_of.setdefault(what, self._number)
        if first != self._number:
            self._refuse(f"is a second {what} (the first is on line {first})", "keep one of them")

    def _stream(self, row: Row, streams: dict[str, int]) -> int:
        """The number of the row's stream among `streams`, which takes in a new one."""
        name = row.get("stream", _MISSING)
        number = streams.get(name) if type(name) is str else None
        if number is None:
            number = streams[self._string(row, "stream")] = len(streams)
        return number

    def _string(self, row: Row, field: str) -> str:
        value = row.get(field, _MISSING)
        if type(value) is not str or not _is_text(value):
            self._wrong(row, field, "give a string of valid text")
        return value

    def _ns(self, row: Row, field: str) -> int:
        value = row.get(field, _MISSING)
        if type(value) is float and -_EXACT_S < value < _EXACT_S:
            return round(value * NS)
        if type(value) not in (int, float) or not abs(value) < _LIMIT_S:
            self._wrong(row, field, f"give seconds as a finite number below {_LIMIT_S:.4g}")
        if type(value) is int:
            return value * NS
        exact = Decimal(json.loads(self._line, parse_float=str)[field])
        return int(exact.quantize(Decimal("1e-9"), ROUND_HALF_EVEN).scaleb(9))

    def _wrong(self, row: Row, field: str, hint: str) -> NoReturn:
        has = f"has {field} {_shown(row[field])}" if field in row else f"has no {field}"
        self._refuse(f"({row['kind']}) {has}", hint)

    def _refuse(self, what: str, hint: str, cause: BaseException | None = None) -> NoReturn:
        raise UsageError(f"line {self._number}: {what}.", f"{hint}.") from cause


def _numbering(header: Row, key: str, numbers: Iterable[str]) -> tuple[tuple[str, ...], Ints | None]:
    """Streams in order, those that the header names under `key` (taken out of it) first; their new numbers by the old.

    `numbers` are the names as they came.
    """
    came = tuple(numbers)
    named = header.get(key)
    if not _are_names(named):
        return came, None
    del header[key]
    streams = tuple(dict.fromkeys((*named, *came)))
    number_of = {name: number for number, name in enumerate(streams)}
    return streams, np.array([number_of[name] for name in came], dtype=np.int64)


def _header(history: History) -> Row:
    header: Row = {
        "kind": "header",
        "version": VERSION,
        "service": history.service,
        "stream_kind": history.stream_kind,
        "started_at": history.started_at,
        **history.header,
    }
    came = dict.fromkeys((*_came(history.writes), *_came(history.reads), *history.finals))
    for key, seen, streams in (
        ("streams", list(came), history.streams),
        ("poll_streams", _came(history.polls), history.poll_streams),
        ("sample_streams", _came(history.samples), history.sample_streams),
    ):
        if seen != list(range(len(streams))):
            header[key] = list(streams)
    return header


def _came(operations: Operations) -> list[int]:
    """The streams of `operations` in the order in which they come."""
    streams, first = np.unique(operations.stream, return_index=True)
    return cast(list[int], streams[np.argsort(first)].tolist())


def _operation_lines(kind: str, operations: Operations, names: list[str], number: str = "") -> Iterator[str]:
    """A line each; `number` is what the seq is called there, empty where there is none."""
    columns = tuple(getattr(operations, name) for name in ("stream", "seq", "invoked_ns", "completed_ns", "outcome"))
    for begin in range(0, len(operations), _ROWS):
        rows = slice(begin, begin + _ROWS)
        for stream, seq, invoked, completed, outcome in zip(*(c[rows].tolist() for c in columns), strict=True):
            numbered = f'"{number}":{"null" if seq == NO_SEQ else seq},' if number else ""
            yield (
                f'{{"kind":"{kind}","stream":{names[stream]},{numbered}'
                f'"invoked_s":{_seconds(invoked)},"completed_s":{_seconds(completed)},'
                f'"outcome":"{_OUTCOME_NAMES[outcome]}"}}'
            )


def _seconds(ns: int) -> str:
    """Exact decimal seconds with one decimal or more; null for `NO_TIME`."""
    if ns == NO_TIME:
        return "null"
    whole, part = divmod(abs(ns), NS)
    decimals = f"{part:09d}".rstrip("0") or "0"
    return f"{'-' if ns < 0 else ''}{whole}.{decimals}"


def _are_names(value: Any) -> TypeGuard[list[str]]:
    return type(value) is list and all(type(name) is str for name in value) and len(set(value)) == len(value)


def _is_text(value: str) -> bool:
    """False if a lone surrogate is in it, which cannot be written as UTF-8."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _shown(value: Any) -> str:
    try:
        shown = json.dumps(value)
    except RecursionError:
        return "a deeply nested value"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
