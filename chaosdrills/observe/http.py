"""One HTTP/1.1 request over a connection that is given: an answer within bounds, or why there is none.

What is read is bounded (`MOST_HEAD`, `MOST_BODY`), nothing is followed, and nothing said here holds a URL, a host or a
word of an answer. The caller bounds the time.
"""

import asyncio
import re
from dataclasses import dataclass

MOST_HEAD = 1 << 16
MOST_BODY = 1 << 20
MOST_INTERIM = 8

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"\d{1,18}")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class Unheard(Exception):
    """The connection broke before the answer was whole. `silent`: before anything came at all."""

    def __init__(self, why: str, silent: bool = False) -> None:
        super().__init__(why)
        self.silent = silent


class NoAnswer(Exception):
    """Something came that is no answer, or more than is taken."""


@dataclass(frozen=True)
class Answer:
    """A whole answer. `reusable`: another request may follow on the same connection."""

    status: int
    body: bytes
    reusable: bool


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> Answer:
    """Send `request`, a head and its body, and read the answer. Raises `Unheard`, `NoAnswer`, `OSError`."""
    writer.write(request)
    for _ in range(MOST_INTERIM):
        status, headers = await _read_head(reader)
        if status >= 200:
            body, delimited = await _read_body(reader, status, headers)
            kept = b"close" not in headers.get(b"connection", b"").lower()
            return Answer(status, body, delimited and kept)
    raise NoAnswer("one interim answer after the other")


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes]]:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial and not b"HTTP/1.".startswith(error.partial[:7]):
            raise NoAnswer("an answer that is not HTTP") from error
        raise Unheard("the connection was closed before an answer", silent=not error.partial) from error
    except asyncio.LimitOverrunError as error:
        raise NoAnswer("an answer whose head has no end") from error
    first, *lines = raw[:-4].split(b"\r\n")
    found = _STATUS.fullmatch(first)
    if found is None:
        raise NoAnswer("an answer that is not HTTP")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise NoAnswer("an answer with a malformed head")
        key, value = name.lower(), value.strip()
        headers[key] = headers[key] + b", " + value if key in headers else value
    if first.startswith(b"HTTP/1.0"):
        headers[b"connection"] = b"close"
    return int(found[1]), headers


async def _read_body(reader: asyncio.StreamReader, status: int, headers: dict[bytes, bytes]) -> tuple[bytes, bool]:
    """The body, and whether its end is told by something else than the end of the connection."""
    if status in (204, 304):
        return b"", True
    try:
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            return await _read_chunks(reader), True
        if b"content-length" in headers:
            length = headers[b"content-length"]
            if not _LENGTH.fullmatch(length):
                raise NoAnswer("an answer with a malformed length")
            return await reader.readexactly(_within(int(length))), True
    except asyncio.IncompleteReadError as error:
        raise Unheard("the connection was closed in the middle of an answer") from error
    body = bytearray()
    while piece := await reader.read(MOST_HEAD):
        body += piece
        _within(len(body))
    return bytes(body), False


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = _SIZE.fullmatch(await _read_line(reader))
        if size is None:
            raise NoAnswer("an answer with a malformed chunk")
        length = int(size[1], 16)
        if not length:
            break
        _within(len(body) + length)
        body += await reader.readexactly(length)
        if await reader.readexactly(2) != b"\r\n":
            raise NoAnswer("an answer with a malformed chunk")
    trailers = 0
    while (line := await _read_line(reader)) != b"\r\n":
        trailers += len(line)
        _within(trailers)
    return bytes(body)


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise NoAnswer("an answer with a malformed chunk") from error


def _within(length: int) -> int:
    if length > MOST_BODY:
        raise NoAnswer(f"an answer of more than {MOST_BODY >> 20} MiB")
    return length
