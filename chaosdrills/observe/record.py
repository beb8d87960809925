"""Writing the record, in the form that `chaosdrills.observe.slots` specifies."""

import os
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from chaosdrills.core.exchange import HEADER_KEYS, STREAM_KINDS
from chaosdrills.core.history import MARK_NAMES, NO_SEQ, NO_TIME, Ints, Outcome, StreamKind
from chaosdrills.errors import InternalError, UnavailableError, UsageError
from chaosdrills.host.files import sync_directory
from chaosdrills.observe.slots import (
    SLOT_BYTES,
    STREAM_OF,
    Kind,
    file_slot,
    operation_slots,
    pack_slot,
    run_slots,
    text_slots,
    unsound,
)

BLOCK_SLOTS = 8192  # a full buffer: 256 KiB

_RUN_PIECE = 1 << 20  # seqs of a read-back that are coded at once
_FULL = BLOCK_SLOTS * SLOT_BYTES
_OK, _FAILED, _UNKNOWN = (int(outcome) for outcome in Outcome)
_WRITE, _READ = int(Kind.WRITE), int(Kind.READ)


class RecordWriter:
    """Writes one record. All methods may be called from any thread.

    Operations are gathered in memory, at most `BLOCK_SLOTS` of them, and written when that many are there or at
    `flush`: what a killed process loses is what came after its last `flush`, so call it several times a second. An
    append waits for the disk only while the buffer is full.

    Instants are absolute CLOCK_BOOTTIME nanoseconds. `bytes_written` is the size of the file, whole blocks only.

    Once the file cannot be written, every method raises `UnavailableError`; what was written before stays readable.
    """

    def __init__(self, descriptor: int, name: str, origin_ns: int) -> None:
        self.bytes_written = 0
        self._descriptor = descriptor
        self._name = name
        self._origin_ns = origin_ns
        self._buffer = bytearray()
        self._full = _FULL  # 0 makes every append fail, once nothing more can be written
        self._append_lock = threading.Lock()  # the buffer and the streams; held for no I/O
        self._file_lock = threading.Lock()  # the file, its blocks and their order; taken first
        self._stopped: str | None = None
        self._failure: OSError | None = None
        self._crc = 0
        self._blocks = 0
        self._streams: dict[Kind, dict[str, int]] = {kind: {} for kind in (Kind.STREAM, *STREAM_OF.values())}
        self._counts = dict.fromkeys(self._streams, 0)
        self._finals: set[int] = set()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        service: str,
        stream_kind: StreamKind,
        started_at: str,
        origin_ns: int,
        extra: Mapping[str, Any] | None = None,
    ) -> "RecordWriter":
        """Make the record `path`, its header on disk. `origin_ns` is the header's instant, `extra` more of the header.

        Raises `UsageError` if the path exists or its folder does not, `UnavailableError` if it cannot be written.
        """
        path, extra = Path(path), dict(extra or {})
        if stream_kind not in STREAM_KINDS or HEADER_KEYS & extra.keys():
            raise UsageError(
                f"a record cannot begin with stream_kind {stream_kind!r} and more keys {', '.join(extra) or 'none'}.",
                f"use stream_kind {' or '.join(STREAM_KINDS)}, and no key of {', '.join(sorted(HEADER_KEYS))}.",
            )
        header = {"service": service, "stream_kind": stream_kind, "started_at": started_at, "extra": extra}
        first = file_slot() + text_slots(Kind.HEADER, header)
        writer = cls(_create(path), path.name, origin_ns)
        try:
            writer._write_out(first, sync=True)
            _sync_folder(path)
        except BaseException:
            os.close(writer._descriptor)
            path.unlink(missing_ok=True)
            raise
        return writer

    def stream(self, name: str) -> int:
        """The index of the stream `name`, which is declared if it is new."""
        return self._declared(Kind.STREAM, name)

    def new_stream(self, name: str) -> int:
        """Declare the stream `name`, which nobody has declared; its index. Nothing of it is kept in memory."""
        with self._append_lock:
            index = self._declare(Kind.STREAM, name)
            full = len(self._buffer) >= self._full
        if full:
            self.flush()
        return index

    def poll_stream(self, name: str) -> int:
        """The index of the poll stream `name`, as `stream`; their names and indices are their own."""
        return self._declared(Kind.POLL_STREAM, name)

    def sample_stream(self, name: str) -> int:
        """The index of the sample stream `name`, as `poll_stream`."""
        return self._declared(Kind.SAMPLE_STREAM, name)

    def _declared(self, kind: Kind, name: str) -> int:
        streams = self._streams[kind]
        with self._append_lock:
            index = streams.get(name)
            if index is None:
                index = streams[name] = self._declare(kind, name)
            full = len(self._buffer) >= self._full
        if full:
            self.flush()
        return index

    def _declare(self, kind: Kind, name: str) -> int:
        index = self._counts[kind]
        self._buffer += text_slots(kind, name, stream=index)
        self._counts[kind] = index + 1
        return index

    def writes(self, stream: int, seq: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        """Append one write: `outcome` as in `Outcome`, `completed_ns` `NO_TIME` only if that is unknown.

        Raises `InternalError` for what no history can hold.
        """
        if seq < 0:
            raise InternalError(f"a write of seq {seq} was to be recorded.")
        self._append(_WRITE, stream, seq, invoked_ns, completed_ns, outcome)

    def reads(self, stream: int, seq: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        """Append one read: as `writes`; `seq` is `NO_SEQ` where nothing was found."""
        if seq < NO_SEQ:
            raise InternalError(f"a read of seq {seq} was to be recorded.")
        self._append(_READ, stream, seq, invoked_ns, completed_ns, outcome)

    def _append(self, kind: int, stream: int, seq: int, invoked_ns: int, completed_ns: int, outcome: int) -> None:
        if completed_ns == NO_TIME:
            sound, completed = outcome == _UNKNOWN, NO_TIME
        else:
            sound, completed = _OK <= outcome <= _UNKNOWN and completed_ns >= invoked_ns, completed_ns - self._origin_ns
        if not (sound and 0 <= stream < self._streams_of(Kind.WRITE)):
            raise InternalError(
                f"an operation was to be recorded with stream {stream}, outcome {outcome}, invoked at {invoked_ns} "
                f"and completed at {completed_ns} ns."
            )
        slot = pack_slot(kind, outcome, 0, stream, invoked_ns - self._origin_ns, completed, seq)
        with self._append_lock:
            self._buffer += slot
            full = len(self._buffer) >= self._full
        if full:
            self.flush()

    def many(self, kind: Kind, rows: Ints) -> None:
        """Append operations, polls (their seq is `NO_SEQ`) or samples (a count) of one kind, int64[n, 5]: each row
        what `writes` takes.

        None is appended if it raises.

        Raises `InternalError` if one of them is what no history can hold.
        """
        bad = unsound(kind, self._streams_of(kind), *rows.T)
        if bad.any():
            raise InternalError(f"a {kind.name.lower()} of {rows[np.argmax(bad)].tolist()} was to be recorded.")
        slots = operation_slots(kind, rows)
        slots["invoked_ns"] -= self._origin_ns
        slots["completed_ns"][rows[:, 3] != NO_TIME] -= self._origin_ns
        with self._append_lock:
            self._buffer += slots.tobytes()
            full = len(self._buffer) >= self._full
        if full:
            self.flush()

    def _streams_of(self, kind: Kind) -> int:
        """How many streams operations of that kind can have."""
        return self._counts[STREAM_OF.get(kind, Kind.STREAM)]

    def mark(self, name: str, at_ns: int, label: str = "") -> None:
        """Record a mark, on disk before this returns. Raises `UsageError` for a name that is not in `MARK_NAMES`."""
        if name not in MARK_NAMES:
            raise UsageError(f"a mark cannot be called {name!r}.", f"use one of {', '.join(MARK_NAMES)}.")
        text = text_slots(Kind.MARK, {"name": name, "label": label}, at_ns=at_ns - self._origin_ns)
        with self._append_lock:
            self._buffer += text
        self.flush(sync=True)

    def note(self, text: str, at_ns: int) -> None:
        """Record a remark, on disk before this returns. Raises `UsageError` if it is empty or no text."""
        if not text:
            raise UsageError("a note cannot be empty.", "say something.")
        slots = text_slots(Kind.NOTE, {"text": text}, at_ns=at_ns - self._origin_ns)
        with self._append_lock:
            self._buffer += slots
        self.flush(sync=True)

    def final(self, stream: int, at_ns: int, seqs: Ints) -> None:
        """Record the whole read-back of `stream`: int64 `seqs` in the order found, `NO_SEQ` where damaged.

        It is in the file when this returns, and on the device with the mark or the end that follows: there may be
        thousands. Raises `InternalError` for a second one of the same stream.
        """
        seqs = np.asarray(seqs, dtype=np.int64)
        if (
            not 0 <= stream < self._streams_of(Kind.WRITE)
            or stream in self._finals
            or (len(seqs) and seqs.min() < NO_SEQ)
        ):
            raise InternalError(f"a read-back of stream {stream} was to be recorded that is its second, or unsound.")
        self._finals.add(stream)
        at_ns -= self._origin_ns
        for begin in range(0, len(seqs), _RUN_PIECE):
            runs = run_slots(stream, at_ns, seqs[begin : begin + _RUN_PIECE])
            for first in range(0, len(runs), BLOCK_SLOTS):
                self._write_out(runs[first : first + BLOCK_SLOTS].tobytes())
        self._write_out(pack_slot(Kind.FINAL, 0, 0, stream, at_ns, 0, len(seqs)))

    def flush(self, sync: bool = False) -> None:
        """Write what was gathered as one block; with `sync`, return only when it is on the device."""
        self._write_out(b"", sync)

    def end(self, at_ns: int) -> None:
        """Record that the observer ended in good order, on disk before this returns. Nothing can follow."""
        self._write_out(pack_slot(Kind.END, 0, 0, 0, at_ns - self._origin_ns, 0, 0), sync=True, last=True)

    def close(self) -> None:
        """Write and sync what was gathered and close the file, which is closed even if this raises. Repeatable."""
        with self._file_lock:
            if self._descriptor < 0:
                return
            try:
                if self._stopped is None:
                    self._drain(b"", last=True)
                    self._sync()
                elif self._failure is not None:
                    self._refuse()
            finally:
                self._stopped = self._stopped or "it is closed"
                os.close(self._descriptor)
                self._descriptor = -1

    def _write_out(self, more: bytes, sync: bool = False, last: bool = False) -> None:
        """Write what was gathered and then `more`; after the `last` slots of a record, none are accepted."""
        with self._file_lock:
            self._drain(more, last)
            if sync:
                self._sync()
            if last:
                self._stopped = "it has its end"

    def _drain(self, more: bytes, last: bool = False) -> None:
        """Take what was gathered and write it with `more` as one block; `last` sends later appends to `_refuse`."""
        try:
            with self._append_lock:
                gathered, self._buffer = self._buffer, bytearray()
                if last:
                    self._full = 0
            if self._stopped is None and (gathered or more):
                self._put(bytes(gathered) + more)
        except BaseException as error:
            self._fail(error)
            raise
        if self._stopped is not None:
            self._refuse()

    def _put(self, slots: bytes) -> None:
        crc = zlib.crc32(slots, self._crc)
        seal = pack_slot(Kind.SEAL, 0, 0, crc, self._blocks, len(slots) // SLOT_BYTES, 0)
        block = slots + seal
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._crc = zlib.crc32(seal, crc)
        self._blocks += 1
        self.bytes_written += len(block)

    def _sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Cut the file back to its last whole block and refuse all that follows; raises for an `OSError`."""
        self._stopped = "writing it was interrupted"
        self._full = 0
        with suppress(OSError):  # else a torn tail stays, which a reader drops with a warning
            os.ftruncate(self._descriptor, self.bytes_written)
        if isinstance(error, OSError):
            self._failure = error
            self._refuse()

    def _refuse(self) -> None:
        if self._failure is None:
            raise InternalError(f"nothing more can be recorded in {self._name}: {self._stopped}.")
        raise UnavailableError(
            f"cannot write the record {self._name}: {self._failure.strerror}.",
            "free room on its disk, or put the record on another one, and run the drill again; "
            "what was written so far can still be read.",
        ) from self._failure


def _create(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except FileExistsError as error:
        raise UsageError(
            f"cannot make the record {path.name}: it exists.", "name a new file; records are never written over."
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"cannot make the record {path.name}: its folder is missing.", "make the folder.") from error
    except OSError as error:
        raise UnavailableError(
            f"cannot make the record {path.name}: {error.strerror}.", "make its folder writable, or use another."
        ) from error


def _sync_folder(path: Path) -> None:
    try:
        sync_directory(path.parent)
    except OSError as error:
        raise UnavailableError(
            f"cannot make the record {path.name} durable: {error.strerror}.",
            "use a folder that can be read and synced.",
        ) from error
