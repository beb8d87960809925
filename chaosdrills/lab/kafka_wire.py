"""One request of Kafka's protocol by hand, so that the lab needs no driver: DescribeCluster (key 60, version 0).

A broker answers from its own copy of the cluster's metadata, with the brokers that are registered and not fenced. When
every broker of the lab names every other, a controller has been elected, all have caught up with it, and a topic can be
placed on all of them.

Bytes (big-endian, "flexible": a length is an unsigned varint of length + 1, every structure ends with a tag count)::

    request   int32 length | int16 60 | int16 0 | int32 correlation | int16 length + client id | tags
              | int8 include_cluster_authorized_operations | tags
    response  int32 length | int32 correlation | tags | int32 throttle | int16 error | compact string? message
              | compact string cluster id | int32 controller | compact array of brokers: int32 id,
              compact string host, int32 port, compact string? rack, tags | ...
"""

import io
import socket
import struct

CLIENT_ID = b"chaosdrills-lab"
REQUEST = struct.pack(">hhih", 60, 0, 0, len(CLIENT_ID)) + CLIENT_ID + b"\0" + b"\0" + b"\0"
LARGEST = 1 << 20


def unfenced_brokers(host: str, port: int, timeout_s: float = 2.0) -> set[int]:
    """The ids of the brokers that the broker at `host`:`port` knows as registered and not fenced.

    Raises `OSError` if it does not answer in time, `ValueError` if it answers with an error or not as Kafka does.
    """
    with socket.create_connection((host, port), timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(REQUEST)) + REQUEST)
        (length,) = struct.unpack(">i", _receive(connection, 4))
        if not 0 < length < LARGEST:
            raise ValueError(f"the answer of {host}:{port} is not Kafka's.")
        return _parse(io.BytesIO(_receive(connection, length)))


def _receive(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("the broker closed the connection.")
        data += piece
    return bytes(data)


def _parse(body: io.BytesIO) -> set[int]:
    _take(body, ">i")
    _skip_tags(body)
    _take(body, ">i")
    error = _take(body, ">h")
    message = _string(body)
    if error:
        raise ValueError(f"the broker answers with error {error} ({message}).")
    _string(body)
    _take(body, ">i")
    brokers = set()
    for _ in range(_varint(body) - 1):
        brokers.add(_take(body, ">i"))
        _string(body)
        _take(body, ">i")
        _string(body)
        _skip_tags(body)
    return brokers


def _take(body: io.BytesIO, layout: str) -> int:
    data = _exactly(body, struct.calcsize(layout))
    (value,) = struct.unpack(layout, data)
    return int(value)


def _exactly(body: io.BytesIO, count: int) -> bytes:
    data = body.read(count)
    if len(data) < count:
        raise ValueError("the broker's answer is shorter than it says.")
    return data


def _varint(body: io.BytesIO) -> int:
    value = shift = 0
    while True:
        (byte,) = _exactly(body, 1)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


def _string(body: io.BytesIO) -> str | None:
    length = _varint(body)
    return None if length == 0 else _exactly(body, length - 1).decode()


def _skip_tags(body: io.BytesIO) -> None:
    for _ in range(_varint(body)):
        _varint(body)
        _exactly(body, _varint(body))
