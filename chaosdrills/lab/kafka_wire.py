"""Two requests of Kafka's protocol by hand, so that the lab needs no driver to see whether its brokers are ready.

DescribeCluster (key 60, version 0): a broker answers from its own copy of the cluster's metadata, with the brokers
that are registered and not fenced. When every broker of the lab names every other, a controller has been elected, all
have caught up with it, and a topic can be placed on all of them.

InitProducerId (key 22, version 0): the first one makes a broker fetch a block of ids from the controller and fails
meanwhile; asked for beforehand, it does not delay the first idempotent producer by its retries.

Bytes, big-endian::

    request     int32 length | int16 key | int16 version | int32 correlation | int16 length + client id | body
    response    int32 length | int32 correlation | body
    cluster     request:  tags (of the header) | int8 include_cluster_authorized_operations | tags
                response: tags (of the header) | int32 throttle | int16 error | compact string? message
                          | compact string cluster id | int32 controller | compact array of brokers: int32 id,
                          compact string host, int32 port, compact string? rack, tags | ...
    producer    request:  int16 -1 (no transaction) | int32 transaction timeout
                response: int32 throttle | int16 error | int64 producer id | int16 epoch

"Compact" lengths are unsigned varints of length + 1 (0 is null), tags begin with their count as such a varint.
"""

import io
import socket
import struct

CLIENT_ID = b"chaosdrills-lab"
DESCRIBE_CLUSTER = struct.pack(">hhih", 60, 0, 0, len(CLIENT_ID)) + CLIENT_ID + b"\0" + b"\0" + b"\0"
INIT_PRODUCER_ID = struct.pack(">hhih", 22, 0, 0, len(CLIENT_ID)) + CLIENT_ID + struct.pack(">hi", -1, 0)
LARGEST = 1 << 20


def unfenced_brokers(host: str, port: int, timeout_s: float = 2.0) -> set[int]:
    """The ids of the brokers that the broker at `host`:`port` knows as registered and not fenced.

    Raises `OSError` if it does not answer in time, `ValueError` if it answers with an error or not as Kafka does.
    """
    return _parse_cluster(_ask(host, port, DESCRIBE_CLUSTER, timeout_s))


def gives_producer_ids(host: str, port: int, timeout_s: float = 2.0) -> bool:
    """Whether the broker at `host`:`port` has producer ids to give; if not, it fetches some now. Raises as above."""
    body = _ask(host, port, INIT_PRODUCER_ID, timeout_s)
    _take(body, ">i")
    _take(body, ">i")
    return _take(body, ">h") == 0


def _ask(host: str, port: int, request: bytes, timeout_s: float) -> io.BytesIO:
    with socket.create_connection((host, port), timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", _receive(connection, 4))
        if not 0 < length < LARGEST:
            raise ValueError(f"the answer of {host}:{port} is not Kafka's.")
        return io.BytesIO(_receive(connection, length))


def _receive(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("the broker closed the connection.")
        data += piece
    return bytes(data)


def _parse_cluster(body: io.BytesIO) -> set[int]:
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
