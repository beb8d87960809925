"""One connection through the lab's proxy: what comes in at one side goes out at the other, at once, later, or not yet.

Silence is what a network that loses everything looks like from both ends: nothing is read, so nothing is passed on or
acknowledged by an answer, no end is told of the other's, and what was sent waits. When the silence ends all of it
arrives, as TCP's repetitions would see to. Slowness keeps the order of the bytes, the end of the stream included.
"""

import asyncio
import random
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from chaosdrills.host.sockets import LOOPBACK

MOST_UNDERWAY = 4 << 20
"""How many bytes may be under way in one direction of a slow connection, near what a TCP window allows."""

AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


@dataclass(frozen=True)
class Condition:
    """What is done to a connection: silence, or so many seconds until bytes arrive, give or take `jitter_s`."""

    silent: bool = False
    latency_s: float = 0.0
    jitter_s: float = 0.0


class Side(asyncio.Protocol):
    """One end's socket. What it sends is read here, and written to the other side when it is due."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.other = self
        self.transport: asyncio.Transport | None = None
        self._held = {"start"}  # why nothing is read
        self._ended = False
        self._underway: deque[tuple[float, bytes]] = deque()
        self._underway_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._send(data)

    def eof_received(self) -> bool:
        self._ended = True
        self._send(b"")
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.connection.abort()

    def pause_writing(self) -> None:
        self.other.hold("full")

    def resume_writing(self) -> None:
        self.other.release("full")

    def hold(self, why: str) -> None:
        """Read no more until each `why` is released."""
        self._held.add(why)
        if self._is_open():
            self.transport.pause_reading()  # type: ignore[union-attr]

    def release(self, why: str) -> None:
        self._held.discard(why)
        if not self._held and not self._ended and self._is_open():
            self.transport.resume_reading()  # type: ignore[union-attr]

    def silence(self) -> None:
        """Hold back what is under way too."""
        self.hold("silence")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def speak(self) -> None:
        """Pass on what was held back, and go on reading."""
        self.release("silence")
        self._arrive()

    def close(self, at_once: bool) -> None:
        """Close this side: with a reset, or after what is still to be written."""
        if self._timer is not None:
            self._timer.cancel()
        if self.transport is None:
            return
        if at_once:
            with suppress(OSError):
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            self.transport.abort()
        else:
            self.transport.close()

    def _is_open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def _send(self, data: bytes) -> None:
        """Write `data` to the other side, now or when it is due; no data: the end of the stream."""
        condition = self.connection.condition
        if not (self._underway or condition.latency_s or condition.jitter_s):
            self._deliver(data)
            return
        now = asyncio.get_running_loop().time()
        delay = max(0.0, condition.latency_s + random.uniform(-condition.jitter_s, condition.jitter_s))
        due = max(now + delay, self._underway[-1][0] if self._underway else 0.0)
        self._underway.append((due, data))
        self._underway_bytes += len(data)
        if self._underway_bytes >= MOST_UNDERWAY:
            self.hold("window")
        if self._timer is None:
            self._arrive()

    def _arrive(self) -> None:
        """Deliver what is due, and come again when the next is."""
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._underway and self._underway[0][0] <= loop.time():
            _, data = self._underway.popleft()
            self._underway_bytes -= len(data)
            self._deliver(data)
        if self._underway:
            self._timer = loop.call_at(self._underway[0][0], self._arrive)
        if self._underway_bytes < MOST_UNDERWAY:
            self.release("window")

    def _deliver(self, data: bytes) -> None:
        out = self.other.transport
        if out is None or out.is_closing():
            return
        if data:
            out.write(data)
            return
        try:
            out.write_eof()
        except OSError:  # it was reset after it had sent its own last byte, when nobody read it any more
            self.connection.abort()
        else:
            self.connection.one_way_ended()


class Connection:
    """An accepted socket, and a socket to the node at port `behind`, connected as soon as it is not silent.

    `on_end` is called once when it is over, `on_refused` if the node does not listen.
    """

    def __init__(
        self,
        accepted: socket.socket,
        behind: int,
        condition: Condition,
        on_end: Callable[["Connection"], None],
        on_refused: Callable[[], None],
    ) -> None:
        self.condition = condition
        self._accepted = accepted
        self._behind = behind
        self._on_end, self._on_refused = on_end, on_refused
        self._near, self._far = Side(self), Side(self)
        self._near.other, self._far.other = self._far, self._near
        self._ways_ended = 0
        self._over = False
        self._start: asyncio.Task[None] | None = None
        self.adapt(condition)

    def adapt(self, condition: Condition) -> None:
        """Let `condition` be in force from now on."""
        self.condition = condition
        for side in (self._near, self._far):
            side.silence() if condition.silent else side.speak()
        if not condition.silent and self._start is None and not self._over:
            self._start = asyncio.get_running_loop().create_task(self._connect())

    def drop_if_forsaken(self) -> None:
        """End if it was never begun and its end has given up: to a network that is silent it never existed."""
        if self._start is None and not self._over and _is_closed_by_peer(self._accepted):
            self.abort()

    def one_way_ended(self) -> None:
        """One end has sent its last byte, and it is passed on."""
        self._ways_ended += 1
        if self._ways_ended == 2:
            self._finish(at_once=False)

    def abort(self) -> None:
        """One end is gone: the other is told by a reset, as its own kernel would be."""
        self._finish(at_once=True)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._far, LOOPBACK, self._behind)
            await loop.connect_accepted_socket(lambda: self._near, self._accepted)
        except OSError:
            self.abort()
            self._on_refused()
            return
        for side in (self._near, self._far):
            side.release("start")

    def _finish(self, at_once: bool) -> None:
        if self._over:
            return
        self._over = True
        if self._near.transport is None:
            if at_once:
                self._accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            self._accepted.close()
        for side in (self._near, self._far):
            side.close(at_once)
        self._on_end(self)


def _is_closed_by_peer(accepted: socket.socket) -> bool:
    poll = select.poll()
    poll.register(accepted, select.POLLRDHUP)
    return bool(poll.poll(0))
