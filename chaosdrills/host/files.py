"""Writing files so that a reader sees the old content or the new, never half of either."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from chaosdrills.errors import UnavailableError, UsageError


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` with `data`: on disk, whole, or not at all."""
    with writing_atomically(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` with `value` as indented JSON."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_private(path: Path, text: str) -> None:
    """Write `path` for this user's eyes only."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def sync_directory(path: Path) -> None:
    """Make renames and new names inside `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing_for_user(path: Path) -> Iterator[BinaryIO]:
    """As `writing_atomically`, for a path that the user gave. Raises `UsageError`, or `UnavailableError` (no room)."""
    try:
        with writing_atomically(path) as file:
            yield file
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnavailableError(f"cannot write {path}: {error.strerror}.", "make room on that disk.") from error
        raise UsageError(
            f"cannot write {path}: {error.strerror}.",
            "name a file in a folder that is there, and that you may write to.",
        ) from error


@contextmanager
def writing_atomically(path: Path) -> Iterator[BinaryIO]:
    """A binary stream whose content replaces `path` when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
