"""One listener of one node, as the lab's proxy shows it: open, closed or silent.

It is open while the node listens behind it, and closed while it does not, so that a dead node refuses connections here
as it would there. Silent, it answers no SYN: the kernel drops them where the queue of accepted connections is full
(listen(2)), so the queue is made short and filled with connections of the proxy's own.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from chaosdrills.errors import DrillError
from chaosdrills.host import nodes
from chaosdrills.host.processes import Identity, is_alive
from chaosdrills.host.sockets import LOOPBACK

BACKLOG = 128
SHORT_BACKLOG = 1
MOST_PLUGS = 8
PLUG_S = 0.005
POLL_S = 0.02

Accepted = Callable[["Route", socket.socket, int], None]  # route, socket, the port that it comes from


class Route:
    """Port `public` of node `node`, for those whom `who` names, with the node's own listener at port `behind`."""

    def __init__(self, service: str, node: int, who: str, public: int, behind: int, accepted: Accepted) -> None:
        self.node, self.who, self.public, self.behind = node, who, public, behind
        self._service = service
        self._accepted = accepted
        self._listener: socket.socket | None = None
        self._plugs: list[socket.socket] = []
        self._plug_ports: set[int] = set()  # of ours that may still wait to be accepted
        self._alive = False
        self._silent = False
        self._refused = asyncio.Event()

    async def mirror(self) -> None:
        """Follow the node for ever: open once it listens, closed once it is dead."""
        while True:
            self._refused.clear()
            await self._wait_listening()
            self._alive = True
            self._show()
            await self._wait_gone()
            self._alive = False
            self._show()

    def set_silent(self, silent: bool) -> None:
        """Answer nobody, or everybody again."""
        if silent != self._silent:
            self._silent = silent
            self._show()

    def refused(self) -> None:
        """The node does not listen, though we took it to."""
        self._refused.set()

    def _show(self) -> None:
        loop = asyncio.get_running_loop()
        for plug in self._plugs:
            plug.close()
        self._plugs.clear()
        if self._listener is not None:
            loop.remove_reader(self._listener)
        if not (self._alive or self._silent):
            self._close()
            return
        if self._listener is None:
            self._listener = _listening(self.public)
        if self._silent:
            self._listener.listen(SHORT_BACKLOG)
            self._plug()
        else:
            self._listener.listen(BACKLOG)
            loop.add_reader(self._listener, self._accept)

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._plug_ports.clear()

    def _plug(self) -> None:
        """Fill the queue of accepted connections, until one is not accepted any more."""
        while len(self._plugs) < MOST_PLUGS:
            plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._plugs.append(plug)
            plug.settimeout(PLUG_S)
            try:
                plug.connect((LOOPBACK, self.public))
            except OSError:
                return
            self._plug_ports.add(plug.getsockname()[1])

    def _accept(self) -> None:
        """Take one connection, and leave what stands to its turn: those that come without end may not keep it."""
        assert self._listener is not None
        with suppress(BlockingIOError):
            accepted, (_, port) = self._listener.accept()
            if port in self._plug_ports:
                self._plug_ports.discard(port)
                accepted.close()
                return
            accepted.setblocking(False)
            self._accepted(self, accepted, port)

    async def _wait_listening(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
                probe.setblocking(False)
                await loop.sock_connect(probe, (LOOPBACK, self.behind))
                return
            await asyncio.sleep(POLL_S)

    async def _wait_gone(self) -> None:
        """Return once the node's process has ended, or a connection to it was refused."""
        refused = asyncio.ensure_future(self._refused.wait())
        ended = asyncio.ensure_future(_wait_ended(self._process()))
        await asyncio.wait((refused, ended), return_when=asyncio.FIRST_COMPLETED)
        for waiting in (refused, ended):
            waiting.cancel()
        await asyncio.gather(refused, ended, return_exceptions=True)

    def _process(self) -> Identity | None:
        with suppress(DrillError):
            cluster = nodes.load(self._service)
            return None if cluster is None else cluster.node(self.node).process
        return None


async def _wait_ended(process: Identity | None) -> None:
    """Return once `process` has ended; at once if it has, and never if nobody knows it."""
    ended = asyncio.Event()
    if process is None:
        await ended.wait()
        return
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    try:
        if is_alive(process):
            loop.add_reader(handle, ended.set)
            await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    listener.bind((LOOPBACK, port))
    return listener
