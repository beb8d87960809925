"""A small HTTP server that does as it is told, well or badly; on a loopback port of its own."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HEALTH = b'{"database": "up", "ready": true, "parts": [{"lag": 0.5}]}'
METRICS = b"""# HELP queue_length What waits.
# TYPE queue_length gauge
queue_length{queue="in",host="a b, c}"} 12 1700000000000
queue_length{queue="out"} 3.5e2\r
queue_length_total 7
up 1
broken{a="b" 1
nothing NaN
"""
PAUSE_S = 0.3


class Web:
    """`mode` says what every request gets from now on; a file of that name in `folder`, if there is one, says more."""

    def __init__(self, folder: Path | None = None) -> None:
        self.mode = "good"
        self.count = 0  # that mode "count" tells
        self.heads: list[bytes] = []
        self.connections = 0
        self._folder = folder
        self._over = threading.Event()
        self._listening: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.port = 0
        self.listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/health"

    def listen(self) -> None:
        """Accept connections, on the same port as before if there was one."""
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def refuse(self) -> None:
        """Accept nothing: connections are refused."""
        if self._listening is not None:
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None

    def close(self) -> None:
        self._over.set()
        self.refuse()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                self.connections += 1
                self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while not self._over.is_set() and (head := self._request(connection)):
                self.heads.append(head)
                if not self._answer(connection, self._told()):
                    break
        self._open.discard(connection)

    def _request(self, connection: socket.socket) -> bytes:
        """A request; what is none (a greeting of TLS) is taken for one as it is."""
        data = b""
        while not is_whole(data) and not data.startswith(b"\x16"):
            piece = connection.recv(65536)
            if not piece:
                return b""
            data += piece
        return data

    def _told(self) -> str:
        told = [] if self._folder is None else [mode for mode in ("bad", "hang") if (self._folder / mode).exists()]
        return told[0] if told else self.mode

    def _answer(self, connection: socket.socket, mode: str) -> bool:
        """Answer one request; whether another may follow on the connection."""
        if mode == "hang":
            self._over.wait(60)
        elif mode == "drip":
            for byte in b"HTTP/1.1 200 OK\r\n" * 100:
                connection.sendall(bytes([byte]))
                self._over.wait(0.02)
        elif mode == "slow":
            self._over.wait(PAUSE_S)
            connection.sendall(whole(HEALTH))
        elif mode == "keep":
            connection.sendall(whole(HEALTH))
            return True
        elif mode == "count":
            connection.sendall(whole(f"attempts_total {self.count}\n".encode()))
            return True
        elif mode == "huge":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (3 << 20))
        else:
            connection.sendall(ANSWERS[mode])
        return False


def is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(end) and len(body) == (int(length[1]) if length else 0)


def whole(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


ANSWERS = {
    "good": whole(HEALTH),
    "bad": whole(b"no", "503 Service Unavailable"),
    "metrics": whole(METRICS),
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n" + HEALTH[:4]
    + f"\r\n{len(HEALTH) - 4:X}\r\n".encode() + HEALTH[4:] + b"\r\n0\r\nTrailer: x\r\n\r\n",
    "until closed": b"HTTP/1.0 200 OK\r\n\r\n" + HEALTH,
    "interim": b"HTTP/1.1 102 Processing\r\n\r\n" + whole(HEALTH),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "garbage": b"\x00\x01\xff mystery\r\n\r\n",
    "mistaken": b"SSH-2.0-OpenSSH_9.6\r\n",
    "bad status": b"HTTP/1.1 OK\r\n\r\n",
    "bad head": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "long head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 17),
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    "huge chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    "half": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "half a head": b"HTTP/1.1 20",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
    "silent": b"",
    "not UTF-8": whole(b"\xff\xfe"),
    "not JSON": whole(b'{"database": "up", "database": "down"}'),
}  # fmt: skip


@contextmanager
def serving(folder: Path | None = None) -> Iterator[Web]:
    web = Web(folder)
    try:
        yield web
    finally:
        web.close()


def wait_heads(web: Web, count: int, timeout_s: float = 10) -> bool:
    """Wait until so many requests came."""
    deadline = time.monotonic() + timeout_s
    while len(web.heads) < count and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return len(web.heads) >= count
