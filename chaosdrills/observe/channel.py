"""The line between a drill and its observer, or its desk: JSON objects, one a line, over connected sockets.

Requests carry an `id` that answers repeat; what the observer says by itself has none. A line is at most
`MAX_LINE_BYTES`. The end of the other side is seen as the end of the stream, also when it was killed.
"""

import contextlib
import json
import select
import socket
import threading
from typing import Any

from chaosdrills.errors import DrillError, InternalError, UnavailableError, UsageError

MAX_LINE_BYTES = 1 << 20
SEND_TIMEOUT_S = 30.0
_ERRORS = {kind.__name__: kind for kind in (UsageError, UnavailableError, InternalError)}


class ChannelClosed(Exception):
    """The other side is gone, does not read, or does not speak this protocol."""


class Channel:
    """One side of the line. `send` may be called from several threads, `receive` from one."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(SEND_TIMEOUT_S)
        self._socket = sock
        self._sending = threading.Lock()
        self._buffer = bytearray()
        self._searched = 0

    def send(self, message: dict[str, Any]) -> None:
        """Send one object. Raises `ChannelClosed` if the other side is gone or reads nothing for 30 s."""
        line = json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"a message of {len(line)} bytes is over the limit of {MAX_LINE_BYTES}")
        try:
            with self._sending:
                self._socket.sendall(line)
        except OSError as error:
            raise ChannelClosed(f"cannot send: {error}") from error

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """The next object; None if none is complete within `timeout_s`. Raises `ChannelClosed` at the end."""
        message = self._next()
        if message is not None:
            return message
        poller = select.poll()
        try:
            poller.register(self._socket, select.POLLIN)
        except ValueError as error:  # closed by another thread since
            raise ChannelClosed("this side is closed") from error
        if not poller.poll(max(0, timeout_s * 1000)):
            return None
        try:
            data = self._socket.recv(1 << 16)
        except OSError as error:
            raise ChannelClosed(f"cannot receive: {error}") from error
        if not data:
            raise ChannelClosed("the other side is gone")
        self._buffer += data
        return self._next()

    def close(self) -> None:
        """Close this side; the other one sees the end, and a thread waiting here does too."""
        with contextlib.suppress(OSError):  # the other side is gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _next(self) -> dict[str, Any] | None:
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched > MAX_LINE_BYTES:
                raise ChannelClosed(f"a line is longer than {MAX_LINE_BYTES} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        try:
            message = json.loads(line)
        except ValueError as error:
            raise ChannelClosed(f"a line is not JSON: {error}") from error
        if not isinstance(message, dict):
            raise ChannelClosed("a line is not a JSON object")
        return message


def error_object(error: DrillError) -> dict[str, Any]:
    """An error as it goes over the line: a service's own kind as the one of ours that it is."""
    kind = next((it.__name__ for it in type(error).__mro__ if it.__name__ in _ERRORS), InternalError.__name__)
    return {"kind": kind, "message": error.message, "hint": error.hint}


def error_of(data: dict[str, str]) -> DrillError:
    """The error that came over the line."""
    return _ERRORS.get(data["kind"], InternalError)(data["message"], data["hint"])
