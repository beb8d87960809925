"""A row of the ledger: it says by itself what it is, and whether it is whole.

``drill`` and ``stream`` say whose it is, ``seq`` which, ``payload`` fills it up to the wanted size (the letters a to z
over and over), and ``checksum`` is zlib.crc32 of ``drill|stream|payload|seq`` in UTF-8, seq in decimal. All but the seq
is the same for every row of a stream, so that sealing one costs a CRC of a few bytes.
"""

import string
import zlib

from chaosdrills.errors import UsageError

LONGEST = 1_000_000


def filler(size: int) -> str:
    """A payload of `size` letters. Raises `UsageError` for one that is too large."""
    if size > LONGEST:
        raise UsageError(f"a payload of {size} bytes is too large.", f"use up to {LONGEST} bytes.")
    return (string.ascii_lowercase * (size // 26 + 1))[:size]


class Seal:
    """The checksums of one drill's stream, for rows with this payload."""

    def __init__(self, drill: str, stream: int, payload: str) -> None:
        self._crc = zlib.crc32(f"{drill}|{stream}|{payload}|".encode())

    def of(self, seq: bytes) -> bytes:
        """The checksum of the row `seq`; both are decimals."""
        return b"%d" % zlib.crc32(seq, self._crc)


class Opener:
    """Looks whether rows of one drill's stream are as they were written."""

    def __init__(self, drill: str, stream: int) -> None:
        self._drill, self._stream = drill, stream
        self._payload: str | None = None
        self._seal = Seal(drill, stream, "")

    def is_whole(self, seq: str, payload: str, checksum: str) -> bool:
        """Whether this row's checksum is right."""
        if payload != self._payload:
            self._payload, self._seal = payload, Seal(self._drill, self._stream, payload)
        return self._seal.of(seq.encode()) == checksum.encode()
