"""The two hand-written requests, against real brokers and against answers that are not Kafka's."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaosdrills.host.nodes import Cluster
from chaosdrills.lab import kafka_wire

HEADER = b"\0\0\0\0" + b"\0" + b"\0\0\0\0"  # correlation, no tags, throttle


@contextmanager
def answering(data: bytes) -> Iterator[int]:
    """A server on loopback that sends `data` to its first client and closes; yields its port."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def test_every_broker_sees_every_broker_and_has_producer_ids(kafka_lab: Cluster) -> None:
    for node in kafka_lab.nodes:
        host, _, port = node.endpoint.rpartition(":")
        assert kafka_wire.unfenced_brokers(host, int(port)) == {1, 2, 3}
        assert kafka_wire.gives_producer_ids(host, int(port))


def test_an_answer_is_read_to_its_end() -> None:
    broker = b"\0\0\0\7" + b"\x0a127.0.0.1" + b"\0\0\x71\xa4" + b"\0" + b"\0"
    body = HEADER + b"\0\0" + b"\0" + b"\x05abcd" + b"\0\0\0\7" + b"\x02" + broker + b"\0\0\0\0" + b"\0"
    with answering(framed(body)) as port:
        assert kafka_wire.unfenced_brokers("127.0.0.1", port) == {7}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (framed(HEADER + b"\0\x0f" + b"\x05nope"), r"error 15 \(nope\)"),
        (framed(HEADER[:6]), "shorter than it says"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not Kafka's"),
    ],
)
def test_an_answer_that_is_none_is_an_error(answer: bytes, why: str) -> None:
    with answering(answer) as port, pytest.raises(ValueError, match=why):
        kafka_wire.unfenced_brokers("127.0.0.1", port)


def test_a_server_that_hangs_up_is_an_error() -> None:
    with answering(b"\0\0") as port, pytest.raises(OSError, match="closed the connection"):
        kafka_wire.unfenced_brokers("127.0.0.1", port)
