"""Opening records and histories: from a file to a `History`, checked on the way.

The form of a record is specified in `chaosdrills.observe.slots`. It is read once, front to back, a few MiB at a time:
a record of a day needs memory for its operations (29 bytes each), and one that is still being written, or lies on a
failing disk, gives an error or a warning where a mapped file would end the process with SIGBUS. Operations are copied
out once, because a history keeps writes and reads apart and in dense columns.
"""

import os
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from chaosdrills.core.columns import first_repeat
from chaosdrills.core.exchange import STREAM_KINDS, parse
from chaosdrills.core.history import (
    MARK_NAMES,
    NO_SEQ,
    Final,
    History,
    Ints,
    Mark,
    Note,
    Operations,
)
from chaosdrills.core.strict import loads
from chaosdrills.errors import UsageError
from chaosdrills.observe.slots import (
    CONT_BYTES,
    MAGIC,
    READABLE,
    SINCE,
    SLOT,
    SLOT_BYTES,
    STREAM_OF,
    Kind,
    Slots,
    far,
    unsound,
)

RECORD_NAME = "record"  # of the file in a folder of a run

_CHUNK = 1 << 22
_MOST_IN_RUN = 1 << 40  # of a read-back, so that sums of runs fit into int64
_MOST_FOUND = 1 << 24  # in all read-backs, or as many times what was written: more would only fill the memory
_MOST_TIMES = 16
_COLUMNS = {"stream": "i", "seq": "q", "invoked_ns": "q", "completed_ns": "q", "outcome": "B"}  # of `Operations`
_KNOWN = {
    version: np.isin(np.arange(256), [int(kind) for kind in Kind if SINCE.get(kind, 1) <= version])
    for version in READABLE
}
_TEXTS = np.isin(np.arange(256), (Kind.HEADER, Kind.STREAM, Kind.MARK, Kind.NOTE, Kind.POLL_STREAM, Kind.SAMPLE_STREAM))
_OPERATIONS = (Kind.WRITE, Kind.READ, Kind.POLL, Kind.SAMPLE)
_NEWER = "copy the record again from where it was written, or upgrade chaosdrills"


def open_history(path: str | os.PathLike[str]) -> History:
    """The history in `path`: a record, lines of JSON, or a folder that holds a file named ``record``.

    Raises `UsageError` if it is missing, unreadable, damaged, or not a history.
    """
    path = Path(path)
    if os.path.isdir(path):
        path /= RECORD_NAME
    with _opened(path) as file:
        if file.peek(1)[:1] == MAGIC[:1]:
            return _read(file, path.name)
        try:
            return parse(file)
        except UsageError as error:
            raise UsageError(f"{path.name}: {error.message}", error.hint) from error


def read_record(path: str | os.PathLike[str]) -> History:
    """The history in the record `path`; its `warnings` say what of it was torn off.

    Raises `UsageError` if it is missing, unreadable, damaged (naming the byte offset) or holds no header yet.
    """
    path = Path(path)
    with _opened(path) as file:
        return _read(file, path.name)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no {path.name} in {path.parent.name or 'this folder'}.",
            f"name a record, a history, or the folder of a run that holds a file named {RECORD_NAME}.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"{path.name} cannot be read: {error.strerror}.", "name a record or history that you may read."
        ) from error


def _read(file: BufferedReader, name: str) -> History:
    reader = _Reader(name)
    torn: list[bytes] = []
    for data in _whole_blocks(file, torn):
        reader.take(data)
    return reader.history(b"".join(torn))


def _whole_blocks(file: BufferedReader, torn: list[bytes]) -> Iterator[bytes]:
    """Whole blocks, a few MiB at a time; what follows the last seal goes into `torn`."""
    while chunk := file.read(_CHUNK):
        slots = np.frombuffer(chunk, SLOT, len(chunk) // SLOT_BYTES)
        seals = np.flatnonzero(slots["kind"] == Kind.SEAL)
        end = (int(seals[-1]) + 1) * SLOT_BYTES if len(seals) else 0
        if end:
            whole = b"".join((*torn, chunk[:end]))
            torn.clear()
            yield whole
        torn.append(chunk[end:])


class _Reader:
    """Checks whole blocks as they come and keeps what they hold."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._offset = 0  # in the file, of the first slot in hand
        self._crc = 0  # of all before it
        self._blocks = 0
        self._version = READABLE[-1]
        self._header_end = 0  # of block 0, without which nothing can be read
        self._header: dict[str, Any] | None = None
        self._numbers: dict[Kind, dict[str, int]] = {kind: {} for kind in (Kind.STREAM, *STREAM_OF.values())}
        self._streams = self._numbers[Kind.STREAM]
        self._columns = {kind: [array(code) for code in _COLUMNS.values()] for kind in _OPERATIONS}
        self._marks: list[Mark] = []
        self._notes: list[Note] = []
        self._read_back: list[Slots] = []
        self._end_ns: int | None = None

    def take(self, data: bytes) -> None:
        """Check and keep `data`, which is whole blocks."""
        if not self._blocks:
            self._check_beginning(data)
        slots = np.frombuffer(data, SLOT)
        self._check_blocks(data, slots)
        kinds = slots["kind"]
        unknown = np.flatnonzero(~_KNOWN[self._version][kinds])
        if len(unknown):
            self._damaged(int(unknown[0]), f"a slot of the unknown kind {kinds[unknown[0]]}")
        self._take_texts(slots)
        for kind in _OPERATIONS:
            self._take_operations(kind, slots)
        self._take_read_back(slots)
        self._take_end(slots)
        self._offset += len(data)

    def history(self, torn: bytes) -> History:
        """What all blocks together are; `torn` is what follows them."""
        if self._header is None:
            if not torn.startswith(MAGIC[: len(torn)]):
                self._check_beginning(torn)
            raise UsageError(
                f"{self._name} holds no header: it is {'cut short' if torn else 'empty'}.",
                "run the drill again; its observer died as it began.",
            )
        writes, reads, polls, samples = (
            Operations(*(np.frombuffer(column, column.typecode) for column in self._columns[kind]))
            for kind in _OPERATIONS
        )
        streams = tuple(self._streams)
        repeat = first_repeat(writes)
        if repeat is not None:
            stream, seq = streams[writes.stream[repeat[1]]], writes.seq[repeat[1]]
            raise UsageError(
                f"{self._name} holds seq {seq} of stream {stream!r} twice, as operations {repeat[0]} and {repeat[1]}.",
                "have the workload give each write of a stream its own seq.",
            )
        finals, unfinished = self._finals()
        return History(
            service=self._header["service"],
            stream_kind=self._header["stream_kind"],
            started_at=self._header["started_at"],
            streams=streams,
            writes=writes,
            reads=reads,
            marks=tuple(self._marks),
            finals=finals,
            end_ns=self._end_ns,
            header=self._header["extra"],
            warnings=tuple(self._warnings(torn, unfinished)),
            notes=tuple(self._notes),
            poll_streams=tuple(self._numbers[Kind.POLL_STREAM]),
            polls=polls,
            sample_streams=tuple(self._numbers[Kind.SAMPLE_STREAM]),
            samples=samples,
        )

    def _warnings(self, torn: bytes, unfinished: list[int]) -> Iterator[str]:
        if torn:
            kinds = np.frombuffer(torn, SLOT, len(torn) // SLOT_BYTES)["kind"]
            lost = int(np.isin(kinds, _OPERATIONS).sum())
            yield (
                f"{self._name} ends in a torn block: its last {len(torn)} bytes, with {lost} "
                f"operation{'' if lost == 1 else 's'} in them, were dropped."
            )
        if unfinished:
            streams = ", ".join(repr(list(self._streams)[stream]) for stream in unfinished[:5])
            more = f" and {len(unfinished) - 5} more" if len(unfinished) > 5 else ""
            yield f"{self._name} holds an unfinished read-back of stream {streams}{more}, which was dropped."
        if self._end_ns is None:
            yield f"{self._name} has no end: its observer died, or is still at work."

    def _check_beginning(self, data: bytes) -> None:
        if data[: len(MAGIC)] != MAGIC:
            raise UsageError(
                f"{self._name} is not a record: it does not begin with a record's magic (byte 0).",
                "name a record, or a history in JSON lines.",
            )
        version, size = np.frombuffer(data, "<u8", 2, len(MAGIC)).tolist()
        if version not in READABLE:
            raise UsageError(
                f"{self._name} is of format version {version} (byte 16); this chaosdrills reads "
                f"versions {READABLE[0]} to {READABLE[-1]}.",
                f"{_NEWER}.",
            )
        if size != SLOT_BYTES:
            raise UsageError(f"{self._name} has slots of {size} bytes (byte 24), not {SLOT_BYTES}.", f"{_NEWER}.")
        self._version = version

    def _check_blocks(self, data: bytes, slots: Slots) -> None:
        """Compare every seal with its block: number, size, checksum."""
        ends = np.flatnonzero(slots["kind"] == Kind.SEAL)
        self._header_end = self._header_end or (int(ends[0]) + 1) * SLOT_BYTES
        seals = slots[ends]
        numbers = self._blocks + np.arange(len(ends))
        wrong = (seals["invoked_ns"] != numbers) | (seals["completed_ns"] != np.diff(ends, prepend=-1) - 1)
        wrong |= (seals["outcome"] != 0) | (seals["flags"] != 0) | (seals["seq"] != 0)
        view, crc, at = memoryview(data), self._crc, 0
        for index, (end, expected) in enumerate(
            zip((ends * SLOT_BYTES).tolist(), seals["stream"].tolist(), strict=True)
        ):
            crc = zlib.crc32(view[at:end], crc)
            if wrong[index] or crc != expected:
                first = int(ends[index - 1]) + 1 if index else 0
                what = f"the block up to byte {self._offset + end + SLOT_BYTES} does not match its seal"
                self._damaged(first, what)
            at = end
        self._crc = zlib.crc32(view[at:], crc)
        self._blocks += len(ends)

    def _take_texts(self, slots: Slots) -> None:
        kinds = slots["kind"]
        headless = kinds == Kind.CONT
        for at in np.flatnonzero(_TEXTS[kinds]).tolist():
            head = slots[at]
            length = int(head["seq"])
            body = slots[at + 1 : at + 1 - (-length // CONT_BYTES)]
            if length < 0 or len(body) * CONT_BYTES < length or (body["kind"] != Kind.CONT).any():
                self._damaged(at, "a text that is cut short")
            headless[at + 1 : at + 1 + len(body)] = False
            try:
                value = loads(body.view(np.uint8).reshape(-1, SLOT_BYTES)[:, 1:].tobytes()[:length])
                self._take_text(Kind(head["kind"]), head, value)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                self._damaged(at, f"a text that is not a {Kind(head['kind']).name.lower().replace('_', ' ')}", error)
        if headless.any():
            self._damaged(int(np.argmax(headless)), "a text without a head")
        files = np.flatnonzero(kinds == Kind.FILE)
        if files.tolist() != ([] if self._offset else [0]) or self._header is None:
            self._damaged(int(files[-1]) if len(files) else 0, "a beginning that is not at the beginning")

    def _take_text(self, kind: Kind, head: np.void, value: Any) -> None:
        if far(head["invoked_ns"]):
            raise ValueError("not an instant")
        if kind in self._numbers:
            streams = self._numbers[kind]
            if type(value) is not str or value in streams or head["stream"] != len(streams):
                raise ValueError("not the next stream")
            streams[value] = len(streams)
        elif kind == Kind.MARK:
            mark = Mark(value["name"], int(head["invoked_ns"]), value["label"])
            if mark.name not in MARK_NAMES or type(mark.label) is not str:
                raise ValueError("not a mark")
            self._marks.append(mark)
        elif kind == Kind.NOTE:
            note = Note(int(head["invoked_ns"]), value["text"])
            if type(note.text) is not str or not note.text:
                raise ValueError("not a note")
            self._notes.append(note)
        else:
            texts = [value["service"], value["started_at"]]
            if self._header is not None or not all(type(text) is str for text in texts):
                raise ValueError("not the header")
            if value["stream_kind"] not in STREAM_KINDS or type(value["extra"]) is not dict:
                raise ValueError("not a header")
            self._header = value

    def _take_operations(self, kind: Kind, slots: Slots) -> None:
        rows = np.flatnonzero(slots["kind"] == kind)
        taken = [slots[name][rows] for name in _COLUMNS]
        wrong = unsound(kind, len(self._numbers[STREAM_OF.get(kind, Kind.STREAM)]), *taken)
        if wrong.any():
            self._damaged(int(rows[np.argmax(wrong)]), f"a {kind.name.lower()} that cannot be")
        for column, more in zip(self._columns[kind], taken, strict=True):
            column.frombytes(more.tobytes())

    def _take_read_back(self, slots: Slots) -> None:
        rows = np.flatnonzero((slots["kind"] == Kind.FINAL_RUN) | (slots["kind"] == Kind.FINAL))
        taken = slots[rows]
        is_run = taken["kind"] == Kind.FINAL_RUN
        wrong = (taken["stream"] >= len(self._streams)) | (taken["seq"] < np.where(is_run, NO_SEQ, 0))
        wrong |= far(taken["invoked_ns"])
        wrong |= is_run & ((taken["completed_ns"] < 1) | (taken["completed_ns"] > _MOST_IN_RUN))
        wrong |= is_run & (taken["seq"] > np.iinfo(np.int64).max - taken["completed_ns"])
        if wrong.any():
            self._damaged(int(rows[np.argmax(wrong)]), "a read-back that cannot be")
        self._read_back.append(taken)

    def _take_end(self, slots: Slots) -> None:
        if self._end_ns is not None:
            self._damaged(0, "a block after the end")
        ends = np.flatnonzero(slots["kind"] == Kind.END)
        if len(ends):
            if ends[0] != len(slots) - 2 or far(slots["invoked_ns"][ends[0]]):
                self._damaged(int(ends[0]), "an end that is not the end")
            self._end_ns = int(slots["invoked_ns"][ends[0]])

    def _finals(self) -> tuple[dict[int, Final], list[int]]:
        """The read-backs by stream, and the streams whose read-back was not finished."""
        slots = np.concatenate(self._read_back)
        slots = slots[np.argsort(slots["stream"], kind="stable")]
        closing = slots["kind"] == Kind.FINAL
        closed, runs = slots[closing], slots[~closing]
        unfinished = np.setdiff1d(runs["stream"], closed["stream"])
        runs = runs[~np.isin(runs["stream"], unfinished)]
        ends = np.concatenate(([0], np.cumsum(runs["completed_ns"])))
        first = ends[np.searchsorted(runs["stream"], closed["stream"], "left")]
        last = ends[np.searchsorted(runs["stream"], closed["stream"], "right")]
        wrong = last - first != closed["seq"]
        wrong[1:] |= closed["stream"][1:] == closed["stream"][:-1]
        if wrong.any():
            name = list(self._streams)[closed["stream"][np.argmax(wrong)]]
            raise UsageError(
                f"{self._name} holds a read-back of stream {name!r} that is its second, or does not add up.",
                "run the drill again.",
            )
        written = len(self._columns[Kind.WRITE][0])
        if ends[-1] > max(_MOST_FOUND, _MOST_TIMES * written):
            raise UsageError(
                f"{self._name} holds read-backs of {ends[-1]} records, and {written} were written.",
                "run the drill again.",
            )
        seqs = _expanded(runs["seq"], runs["completed_ns"])
        rows = zip(closed["stream"].tolist(), closed["invoked_ns"].tolist(), first.tolist(), last.tolist(), strict=True)
        return {stream: Final(at_ns, seqs[low:high]) for stream, at_ns, low, high in rows}, unfinished.tolist()

    def _damaged(self, slot: int, what: str, cause: BaseException | None = None) -> NoReturn:
        offset = self._offset + slot * SLOT_BYTES
        hint = "copy it again from where it was written"
        if offset >= self._header_end:
            hint += f"; what lies before can be judged, though not met, from a copy cut with 'truncate -s {offset}'"
        raise UsageError(f"{self._name} is damaged at byte {offset}: {what}.", f"{hint}.") from cause


def _expanded(first: Ints, counts: Ints) -> Ints:
    """The seqs of runs: `counts[i]` of them from `first[i]` up, all `NO_SEQ` where that is the first."""
    begins = np.cumsum(counts) - counts
    seqs = np.arange(int(counts.sum()))
    seqs += np.repeat(first - begins, counts)
    damaged = first == NO_SEQ
    if damaged.any():
        seqs[np.repeat(damaged, counts)] = NO_SEQ
    return seqs
