"""The proxy before all listeners of a proxied lab: ``python -m chaosdrills.lab.proxy SERVICE``.

A process of its own, started before the nodes, written down and ended as they are. It shows every listener of every
node at its public port (`chaosdrills.lab.proxy_route`) and passes bytes on (`chaosdrills.lab.proxy_connection`). What
it holds back and what it delays is told to it on a Unix socket, as `chaosdrills.host.proxy_control` specifies.

Both ends of a connection count. Whose listener it goes to is plain; which node it comes from, if any, is seen by the
process that holds its other end. A node's connections to itself are never touched, as on a machine that is cut off.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from chaosdrills.host import nodes
from chaosdrills.host.network import CUT, Effect
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import Identity, family_of
from chaosdrills.host.proxy_control import socket_path
from chaosdrills.host.scopes import PARTIES_AT, PEERS, SCOPES, is_meant, meant_at
from chaosdrills.host.sockets import socket_inodes, tcp_ends
from chaosdrills.lab.proxy_connection import Condition, Connection
from chaosdrills.lab.proxy_route import Route

MILLI = 1e-3

logger = logging.getLogger(__name__)


class Proxy:
    """All routes of a cluster, the connections through them, and what is in force on them."""

    def __init__(self, cluster: Cluster) -> None:
        self._service = cluster.service
        self._effects: list[Effect] = []
        self._connections: dict[Connection, tuple[Route, int | None]] = {}
        self._routes = [
            Route(cluster.service, node.id, who, port, node.behind[who], self._accepted)
            for node in cluster.nodes
            for who, port in node.listeners.items()
        ]

    async def run(self) -> None:
        """Serve until cancelled."""
        with socket_path(self._service) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)
            async with await asyncio.start_unix_server(self._converse, path):
                await asyncio.gather(*(route.mirror() for route in self._routes))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what `request` says. Raises `KeyError`, `TypeError` or `ValueError` if it is none."""
        if request["do"] == "list":
            return {"effects": [asdict(effect) for effect in self._effects]}
        effect = Effect(**request["effect"])
        if effect.scope not in SCOPES or request["do"] not in ("add", "remove"):
            raise ValueError("no such scope, or nothing to do")
        if (effect in self._effects) == (request["do"] == "add"):
            return {"changed": False}
        (self._effects.append if request["do"] == "add" else self._effects.remove)(effect)
        self._adapt()
        logger.info("%s %s", request["do"], effect)
        return {"changed": True}

    def _adapt(self) -> None:
        """Put what is in force now into force everywhere."""
        for route in self._routes:
            cut = (it for it in self._effects if it.kind == CUT and it.node == route.node)
            route.set_silent(any(meant_at(route.who, it.scope) == PARTIES_AT[route.who] for it in cut))
        for connection, (route, source) in list(self._connections.items()):
            connection.adapt(self._condition(route, source))

    def _condition(self, route: Route, source: int | None) -> Condition:
        if source == route.node:
            return Condition()
        here = [
            it
            for it in self._effects
            if it.node in (route.node, source) and is_meant(route.who, it.scope, source is not None)
        ]
        return Condition(
            any(it.kind == CUT for it in here),
            sum(it.latency_ms for it in here) * MILLI,
            sum(it.jitter_ms for it in here) * MILLI,
        )

    def _accepted(self, route: Route, accepted: socket.socket, port: int) -> None:
        for waiting in list(self._connections):  # a node that is cut off for long tries again and again
            waiting.drop_if_forsaken()
        source = None
        if PEERS in PARTIES_AT[route.who]:
            ends = self._ends(route, port)
            if not ends:  # closed again already: nobody could say whose it was, or hear an answer
                accepted.close()
                return
            source = self._source(ends)
        connection = Connection(accepted, route.behind, self._condition(route, source), self._forget, route.refused)
        self._connections[connection] = (route, source)

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def _ends(self, route: Route, port: int) -> set[str]:
        """The inodes of the socket at the other end of a connection from `port`; none if no process holds it.

        Looked up again where it is not there: the kernel's list may skip one while it changes.
        """
        for _ in range(2):
            found = {it.inode for it in tcp_ends(port, route.public)} - {"0"}
            if found:
                break
        return found

    def _source(self, ends: set[str]) -> int | None:
        """The node one of whose processes holds one of the sockets `ends`; None if none does.

        One without listeners is an application: a client, and no peer of anybody.
        """
        cluster = nodes.load(self._service)
        for node in cluster.nodes if cluster else []:
            if node.listeners and any(ends & socket_inodes(process.pid) for process in _processes_of(node)):
                return node.id
        return None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = self.answer(json.loads(await reader.readline()))
        except (KeyError, TypeError, ValueError) as error:
            answer = {"error": f"it does not understand the request ({error!r})"}
        writer.write(json.dumps(answer).encode() + b"\n")
        with suppress(OSError):
            await writer.drain()
        writer.close()


def _processes_of(node: Node) -> set[Identity]:
    """All that may speak for a node: where it watches over a server, that and what both have started speak for it."""
    started = {it for it in (node.process, node.server) if it is not None}
    return family_of(started) if node.pid_file else started


async def serve(service: str) -> None:
    """Run the proxy of the written-down lab of `service` until SIGTERM."""
    cluster = nodes.load(service)
    if cluster is None:
        sys.exit(f"there is no {service} lab to stand before")
    task = asyncio.ensure_future(Proxy(cluster).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(serve(sys.argv[1]))
