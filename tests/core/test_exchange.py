"""The exchange form: what it means, what it refuses, and that nothing is lost on the way there and back."""

import json
from dataclasses import fields, replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaosdrills.core.columns import first_repeat
from chaosdrills.core.exchange import HEADER_KEYS, format_lines, parse
from chaosdrills.core.history import MOST_COUNT, NO_SEQ, NO_TIME, Final, History, Mark, Operations, Outcome
from chaosdrills.errors import UsageError

HEADER = '{"kind":"header","version":1,"service":"kafka","stream_kind":"log","started_at":"2026-11-23T08:00:00Z"}'
WRITE = '{"kind":"write","stream":"0","seq":0,"invoked_s":0.000,"completed_s":0.004,"outcome":"ok"}'
DESIGN = [
    HEADER,
    WRITE,
    '{"kind":"read","stream":"0","seq":0,"invoked_s":0.001,"completed_s":0.009,"outcome":"ok"}',
    '{"kind":"poll","stream":"app","invoked_s":1.0,"completed_s":1.01,"outcome":"ok"}',
    '{"kind":"sample","stream":"healer","count":3,"invoked_s":2.0,"completed_s":2.01,"outcome":"ok"}',
    '{"kind":"mark","name":"fault_begin","at_s":10.0,"label":"kill broker 1"}',
    '{"kind":"final","stream":"0","at_s":40.0,"seqs":[0,1,2,4,3]}',
    '{"kind":"end","at_s":41.0}',
]
NOTHING: dict[str, list[int]] = {"stream": [], "seq": [], "invoked_ns": [], "completed_ns": [], "outcome": []}
NO_POLLS: dict[str, Any] = {"poll_streams": (), "polls": NOTHING, "sample_streams": (), "samples": NOTHING}


def plain(history: History, warnings: bool = False) -> dict[str, Any]:
    """A history as lists and dicts, to be compared whole; warnings belong to the file it came from."""
    value = {field.name: getattr(history, field.name) for field in fields(history)}
    if not warnings:
        del value["warnings"]
    for kind in ("writes", "reads", "polls", "samples"):
        columns = value[kind]
        assert columns.stream.dtype == np.int32
        assert columns.outcome.dtype == np.uint8
        assert {columns.seq.dtype, columns.invoked_ns.dtype, columns.completed_ns.dtype} == {np.dtype(np.int64)}
        value[kind] = {field.name: getattr(columns, field.name).tolist() for field in fields(columns)}
    value["finals"] = {stream: (final.at_ns, final.seqs.tolist()) for stream, final in history.finals.items()}
    return value


INSTANTS = st.integers(-(10**15), 10**15) | st.integers(-2 * 10**18, 2 * 10**18)
SEQS = st.integers(0, 5) | st.integers(0, 2**62)
TEXTS = st.text(max_size=40)


@st.composite
def operations(draw: st.DrawFn, streams: int, written: bool, seqs: st.SearchStrategy[int] = SEQS) -> Operations:
    """Any writes (each seq once) or reads that a history can hold; `seqs` without null."""
    rows: dict[Any, tuple[int, int, int, int, int]] = {}
    for number in range(draw(st.integers(0, 12)) if streams else 0):
        stream, seq = draw(st.integers(0, streams - 1)), draw(seqs if written else seqs | st.just(NO_SEQ))
        invoked, outcome = draw(INSTANTS), draw(st.sampled_from(Outcome))
        completed = invoked + draw(st.integers(0, 10**10))
        if outcome == Outcome.UNKNOWN and draw(st.booleans()):
            completed = NO_TIME
        rows[(stream, seq) if written else number] = (stream, seq, invoked, completed, int(outcome))
    return Operations.of(list(rows.values()))


@st.composite
def samples(draw: st.DrawFn, streams: int) -> Operations:
    """Any samples that a history can hold: those that are ok have a count, the others none."""
    looks = draw(operations(streams, False, st.integers(0, 5) | st.integers(0, MOST_COUNT - 1)))
    return replace(looks, seq=np.where(looks.outcome == Outcome.OK, np.maximum(looks.seq, 0), NO_SEQ))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any history: streams with any names, some of them unused; read-backs with runs, repeats and damage."""
    streams = tuple(draw(st.lists(TEXTS, max_size=4, unique=True)))
    poll_streams, sample_streams = (tuple(draw(st.lists(TEXTS, max_size=3, unique=True))) for _ in range(2))
    names = st.sampled_from(("fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"))
    runs = st.lists(
        st.tuples(SEQS, st.integers(1, 30)).map(lambda run: list(range(run[0], run[0] + run[1])))
        | st.integers(1, 3).map(lambda count: [NO_SEQ] * count),
        max_size=5,
    )
    finals = st.builds(Final, INSTANTS, runs.map(lambda found: np.array(list(chain(*found)), dtype=np.int64)))
    values = st.integers() | TEXTS | st.floats(allow_nan=False, allow_infinity=False) | st.none() | st.booleans()
    extra = st.dictionaries(TEXTS.filter(lambda key: key not in HEADER_KEYS), values | st.lists(values), max_size=3)
    return History(
        service=draw(TEXTS),
        stream_kind=draw(st.sampled_from(("log", "register"))),
        started_at=draw(TEXTS),
        streams=streams,
        writes=draw(operations(len(streams), True)),
        reads=draw(operations(len(streams), False)),
        marks=tuple(draw(st.lists(st.builds(Mark, names, INSTANTS, TEXTS), max_size=4))),
        finals=draw(st.dictionaries(st.integers(0, len(streams) - 1), finals)) if streams else {},
        end_ns=draw(st.none() | INSTANTS),
        header=draw(extra),
        poll_streams=poll_streams,
        polls=draw(operations(len(poll_streams), False, st.nothing())),
        sample_streams=sample_streams,
        samples=draw(samples(len(sample_streams))),
    )


def test_the_designs_own_history() -> None:
    history = parse(DESIGN)
    assert plain(history, warnings=True) == {
        "service": "kafka",
        "stream_kind": "log",
        "started_at": "2026-11-23T08:00:00Z",
        "streams": ("0",),
        "writes": {"stream": [0], "seq": [0], "invoked_ns": [0], "completed_ns": [4_000_000], "outcome": [0]},
        "reads": {"stream": [0], "seq": [0], "invoked_ns": [1_000_000], "completed_ns": [9_000_000], "outcome": [0]},
        "marks": (Mark("fault_begin", 10_000_000_000, "kill broker 1"),),
        "finals": {0: (40_000_000_000, [0, 1, 2, 4, 3])},
        "end_ns": 41_000_000_000,
        "header": {},
        "notes": (),
        "warnings": (),
        "poll_streams": ("app",),
        "polls": {
            "stream": [0],
            "seq": [NO_SEQ],
            "invoked_ns": [1_000_000_000],
            "completed_ns": [1_010_000_000],
            "outcome": [0],
        },
        "sample_streams": ("healer",),
        "samples": {
            "stream": [0],
            "seq": [3],
            "invoked_ns": [2_000_000_000],
            "completed_ns": [2_010_000_000],
            "outcome": [0],
        },
    }


def test_it_is_written_as_it_was_read() -> None:
    assert list(format_lines(parse(DESIGN))) == [line.replace("0.000", "0.0") for line in DESIGN]


def test_nulls_blank_lines_line_ends_bytes_and_extra_keys() -> None:
    history = parse(
        [
            b"\xef\xbb\xbf" + b'{"kind":"end","at_s":2,"why":"done"}\r\n',
            "\n",
            b"  \n",
            '{"kind":"write","stream":"b","seq":7,"invoked_s":1,"completed_s":null,"outcome":"unknown","host":"x"}\n',
            '{"kind":"read","stream":"a","seq":null,"invoked_s":1e-9,"completed_s":1.5,"outcome":"failed"}\n',
            '{"kind":"mark","name":"drained","at_s":-0.5}',
            '{"kind":"final","stream":"c","at_s":3,"seqs":[null,null,9]}',
            '{"rate":[200.5],"kind":"header","version":1,"service":"s","stream_kind":"register","started_at":"now"}',
        ]
    )
    assert plain(history) == {
        "service": "s",
        "stream_kind": "register",
        "started_at": "now",
        "streams": ("b", "a", "c"),
        "writes": {"stream": [0], "seq": [7], "invoked_ns": [10**9], "completed_ns": [NO_TIME], "outcome": [2]},
        "reads": {"stream": [1], "seq": [-1], "invoked_ns": [1], "completed_ns": [1_500_000_000], "outcome": [1]},
        "marks": (Mark("drained", -500_000_000),),
        "finals": {2: (3_000_000_000, [-1, -1, 9])},
        "end_ns": 2_000_000_000,
        "header": {"rate": [200.5]},
        "notes": (),
        **NO_POLLS,
    }


@pytest.mark.parametrize(
    ("seconds", "ns"),
    [
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        ("0.0000000025", 2),
        ("999999.999999999", 999_999_999_999_999),
        ("1000000.000000001", 1_000_000_000_000_001),
        ("1763884800.123456789", 1_763_884_800_123_456_789),
        ("1763884800.1234567895", 1_763_884_800_123_456_790),
        ("-86400.000000001", -86_400_000_000_001),
        ("2299999999", 2_299_999_999_000_000_000),
        ("1.5e3", 1_500_000_000_000),
    ],
)
def test_seconds_to_the_nearest_nanosecond(seconds: str, ns: int) -> None:
    assert parse([f'{{"kind":"end","at_s":{seconds}}}', HEADER]).end_ns == ns
    beside = f'{{"kind":"end","more":1e99999999999999999999,"at_s":{seconds}}}'  # no Decimal holds the other number
    assert parse([beside, HEADER]).end_ns == ns


def test_the_header_may_say_how_streams_are_numbered() -> None:
    named = HEADER.replace("}", ',"streams":["z","0"]}')
    final = '{"kind":"final","stream":"new","at_s":1,"seqs":[]}'
    for lines in ([named, WRITE, final], [final, WRITE, named]):
        history = parse(lines)
        assert history.streams == ("z", "0", "new")
        assert history.writes.stream.tolist() == [1]
        assert list(history.finals) == [2]
        assert history.header == {}
    assert parse([HEADER.replace("}", ',"streams":3}'), WRITE]).header == {"streams": 3}


@settings(max_examples=200, deadline=None)
@given(histories())
def test_any_history_comes_back(history: History) -> None:
    lines = list(format_lines(history))
    assert all(line.isascii() and "\n" not in line and json.loads(line) for line in lines)
    assert plain(parse(lines)) == plain(history)
    assert plain(parse(line.encode() + b"\n" for line in lines)) == plain(history)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6) | st.integers(2**62, 2**63 - 1))))
def test_the_first_repeat_is_found(pairs: list[tuple[int, int]]) -> None:
    expected = next(
        ((pairs.index(pair), row) for row, pair in enumerate(pairs) if pairs.index(pair) < row),
        None,
    )
    assert first_repeat(Operations.of([(stream, seq, 0, 0, 0) for stream, seq in pairs])) == expected


def write(**changes: Any) -> str:
    """The line of a write with some fields changed; `...` removes one."""
    row = {**json.loads(WRITE), **changes}
    return json.dumps({key: value for key, value in row.items() if value is not ...})


def read(**changes: Any) -> str:
    return write(kind="read", **changes)


def poll(**changes: Any) -> str:
    return write(**{"kind": "poll", "seq": ..., **changes})


def test_streams_of_polls_have_names_of_their_own() -> None:
    lines = [
        HEADER.replace("}", ',"poll_streams":["b","a"]}'),
        WRITE,
        poll(),
        poll(stream="a", seq="any", outcome="failed"),
    ]
    history = parse(lines)
    assert (history.streams, history.poll_streams) == (("0",), ("b", "a", "0"))
    assert history.polls.stream.tolist() == [2, 1]
    assert history.polls.seq.tolist() == [NO_SEQ, NO_SEQ]
    assert plain(parse(format_lines(history))) == plain(history)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))."),
        (
            "[" * 100_000,
            "is nested too deeply.",
        ),
        (b'{"kind":"\xff"}', "is not UTF-8."),
        ("[1]", "is [1], not a JSON object."),
        ("null", "is null, not a JSON object."),
        ("{}", "has no kind."),
        ('{"kind":"wrote"}', 'has the unknown kind "wrote".'),
        ('{"kind":["write"]}', 'has the unknown kind ["write"].'),
        (write(stream=...), "(write) has no stream."),
        (write(stream=0), "(write) has stream 0."),
        (write(stream=["0"]), '(write) has stream ["0"].'),
        (write(stream="\ud800"), '(write) has stream "\\ud800".'),
        (write(seq=...), "(write) has no seq."),
        (write(seq=None), "(write) has seq null."),
        (write(seq=-1), "(write) has seq -1."),
        (write(seq=True), "(write) has seq true."),
        (write(seq=1.0), "(write) has seq 1.0."),
        (write(seq="1"), '(write) has seq "1".'),
        (write(seq=2**63), "(write) has seq 9223372036854775808."),
        (read(seq=-1), "(read) has seq -1."),
        (read(seq=...), "(read) has no seq."),
        (write(outcome="OK"), '(write) has outcome "OK".'),
        (write(outcome=["ok"]), '(write) has outcome ["ok"].'),
        (write(outcome=...), "(write) has no outcome."),
        (write(invoked_s=...), "(write) has no invoked_s."),
        (write(invoked_s=None), "(write) has invoked_s null."),
        (write(invoked_s=True), "(write) has invoked_s true."),
        (write(invoked_s="0"), '(write) has invoked_s "0".'),
        (write(invoked_s=float("nan")), "(write) has invoked_s NaN."),
        (write(invoked_s=10**400), f"(write) has invoked_s 1{'0' * 56}...."),
        (write(invoked_s=0).replace('"invoked_s": 0', '"invoked_s": 1e999'), "(write) has invoked_s Infinity."),
        (write(completed_s=...), "(write) has no completed_s."),
        (write(completed_s=float("-inf")), "(write) has completed_s -Infinity."),
        (write(completed_s=2.31e9), "(write) has completed_s 2310000000.0."),
        (write(completed_s=2**61 // 10**9 + 1), "(write) has completed_s 2305843010."),
        ('{"kind":"end","at_s":1,"at_s":2}', 'is not clear: the key "at_s" is there twice.'),
        (
            '{"kind":"mark","name":"drained","at_s":1,"label":"a:b","more":{"b":1,"b":2}}',
            'is not clear: the key "b" is there twice.',
        ),
        (write(completed_s=None), "(write) has completed_s null."),
        (write(completed_s=None, outcome="failed"), "(write) has completed_s null."),
        (write(invoked_s=2, completed_s=1.5), "(write) has completed_s 1.5."),
        (read(completed_s=None), "(read) has completed_s null."),
        ('{"kind":"mark","at_s":1}', "(mark) has no name."),
        ('{"kind":"mark","name":"fault","at_s":1}', '(mark) has name "fault".'),
        ('{"kind":"mark","name":"drained","at_s":"1"}', '(mark) has at_s "1".'),
        ('{"kind":"mark","name":"drained"}', "(mark) has no at_s."),
        ('{"kind":"mark","name":"drained","at_s":1,"label":7}', "(mark) has label 7."),
        ('{"kind":"final","at_s":1,"seqs":[]}', "(final) has no stream."),
        ('{"kind":"final","stream":"0","at_s":1}', "(final) has no seqs."),
        ('{"kind":"final","stream":"0","at_s":1,"seqs":3}', "(final) has seqs 3."),
        ('{"kind":"final","stream":"0","seqs":[0]}', "(final) has no at_s."),
        ('{"kind":"final","stream":"0","at_s":1,"seqs":[0,-1]}', "has -1 among its seqs."),
        ('{"kind":"final","stream":"0","at_s":1,"seqs":[0,true]}', "has true among its seqs."),
        ('{"kind":"final","stream":"0","at_s":1,"seqs":[0,1.5]}', "has 1.5 among its seqs."),
        (
            '{"kind":"final","stream":"0","at_s":1,"seqs":[9223372036854775808]}',
            "has 9223372036854775808 among its seqs.",
        ),
        ('{"kind":"end"}', "(end) has no at_s."),
        (poll(stream=...), "(poll) has no stream."),
        (poll(stream=1), "(poll) has stream 1."),
        (poll(outcome="bad"), '(poll) has outcome "bad".'),
        (poll(invoked_s=...), "(poll) has no invoked_s."),
        (poll(completed_s=None), "(poll) has completed_s null."),
        (poll(completed_s=0.5, invoked_s=1), "(poll) has completed_s 0.5."),
        (HEADER, "is a second header (the first is on line 1)."),
    ],
)
def test_a_malformed_line_is_named(line: str | bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([HEADER, "", line])
    assert caught.value.message == f"line 3: {message}"
    assert caught.value.hint.endswith(".")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version":1', '"version":2', "(header) has version 2."),
        ('"version":1', '"version":true', "(header) has version true."),
        ('"version":1,', "", "(header) has no version."),
        ('"kafka"', "7", "(header) has service 7."),
        ('"log"', '"table"', '(header) has stream_kind "table".'),
        ('"log"', '["log"]', '(header) has stream_kind ["log"].'),
        ('"2026-11-23T08:00:00Z"', "0", "(header) has started_at 0."),
        ('"version"', '"rate":NaN,"version"', "has a header that holds no valid text or number."),
        ('"version"', '"who":["\\ud800"],"version"', "has a header that holds no valid text or number."),
    ],
)
def test_a_malformed_header_is_named(old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([HEADER.replace(old, new)])
    assert caught.value.message == f"line 1: {message}"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the history has no header."),
        ([WRITE], "the history has no header."),
        (
            [HEADER, WRITE, write(seq=1), "", write(invoked_s=0.002)],
            'line 5: writes seq 0 of stream "0" again (first on line 2).',
        ),
        (
            [HEADER.replace("}", ',"streams":["z"]}'), WRITE, WRITE],
            'line 3: writes seq 0 of stream "0" again (first on line 2).',
        ),
        (
            [HEADER, DESIGN[6], DESIGN[6].replace('"0"', '"1"'), DESIGN[6]],
            'line 4: is a second final of stream "0" (the first is on line 2).',
        ),
        ([HEADER, DESIGN[7], DESIGN[7]], "line 3: is a second end (the first is on line 2)."),
    ],
)
def test_what_may_be_there_only_once(lines: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(lines)
    assert caught.value.message == message


def test_reads_of_the_same_seq_are_no_repeat() -> None:
    assert len(parse([HEADER, read(), read()]).reads) == 2
