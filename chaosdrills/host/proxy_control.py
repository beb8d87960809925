"""Telling the proxy of a lab what to hold back and what to delay (the proxy itself: `chaosdrills.lab.proxy`).

It listens on the Unix socket ``proxy.sock`` in the lab's folder. One request and one answer a connection, each a line
of JSON::

    {"do": "list"}                           {"effects": [{"kind": "cut", "node": 2, "scope": "all",
                                                           "latency_ms": 0, "jitter_ms": 0}, ...]}
    {"do": "add", "effect": {...}}           {"changed": true}     false: it was in force already
    {"do": "remove", "effect": {...}}        {"changed": true}     false: it was not in force
    anything else                            {"error": "..."}

An answer comes when the change is in force. What is in force lasts as long as the proxy does, which is as long as the
lab: without it no node is reached at all.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaosdrills.errors import UnavailableError
from chaosdrills.host.nodes import cluster_dir

SOCKET = "proxy.sock"
TIMEOUT_S = 10.0
LONGEST = 1 << 20


@contextmanager
def socket_path(service: str) -> Iterator[str]:
    """A path of the socket that is short enough for one, however long the lab's folder is called (unix(7))."""
    folder = os.open(cluster_dir(service), os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield str(Path("/proc/self/fd") / str(folder) / SOCKET)
    finally:
        os.close(folder)


def effects(service: str) -> list[dict[str, Any]]:
    """What is in force; nothing if no proxy runs. Raises `UnavailableError` if it does not answer."""
    answer = _ask(service, {"do": "list"})
    return [] if answer is None else list(answer["effects"])


def change(service: str, do: str, effect: dict[str, Any]) -> bool:
    """Add or remove `effect`; false if there was nothing to change, or nothing runs to remove it from.

    Raises `UnavailableError` if no proxy runs to add it to, or if it does not answer.
    """
    answer = _ask(service, {"do": do, "effect": effect})
    if answer is None and do == "add":
        raise UnavailableError(
            f"the {service} lab's proxy does not run, so nothing was hit.",
            f"run 'chaos drills lab down {service}' and start the lab again.",
        )
    return answer is not None and bool(answer["changed"])


def _ask(service: str, request: dict[str, Any]) -> dict[str, Any] | None:
    """The proxy's answer; None if no proxy runs."""
    try:
        answer = json.loads(_exchange(service, json.dumps(request).encode() + b"\n"))
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except (OSError, ValueError) as error:
        raise _no_answer(service, str(error)) from error
    if "error" in answer:
        raise _no_answer(service, answer["error"])
    return dict(answer)


def _exchange(service: str, request: bytes) -> bytes:
    with socket_path(service) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        connection.sendall(request)
        answer = bytearray()
        while piece := connection.recv(LONGEST):
            answer += piece
        return bytes(answer)


def _no_answer(service: str, why: str) -> UnavailableError:
    return UnavailableError(
        f"the {service} lab's proxy does not do what it is asked for: {why}.",
        f"read its log, {cluster_dir(service) / 'proxy.log'}; 'chaos drills lab down {service}' ends it.",
    )
