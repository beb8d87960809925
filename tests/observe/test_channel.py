"""JSON lines over a pair of sockets, with real sockets."""

import socket
import threading

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.channel import MAX_LINE_BYTES, Channel, ChannelClosed, error_object, error_of


def pair() -> tuple[Channel, Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    return Channel(ours), Channel(theirs), theirs


def test_objects_arrive_whole_and_in_order() -> None:
    ours, theirs, _ = pair()
    for number in range(30):
        ours.send({"id": number, "text": "ä\n" * number})
    assert [theirs.receive(1.0) for _ in range(30)] == [{"id": n, "text": "ä\n" * n} for n in range(30)]


def test_nothing_in_time_is_none() -> None:
    ours, theirs, _ = pair()
    assert theirs.receive(0.01) is None
    ours.send({})
    assert theirs.receive(0) == {}


def test_a_line_in_pieces_is_put_together() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(theirs)
    for piece in (b'{"a"', b": 1}\n", b'{"b": 2}\n{"c"'):
        ours.sendall(piece)
    seen = [channel.receive(0.1) for _ in range(4)]
    assert [it for it in seen if it is not None] == [{"a": 1}, {"b": 2}]


def test_the_end_is_seen_after_what_was_sent_before() -> None:
    ours, theirs, _ = pair()
    ours.send({"last": True})
    ours.close()
    assert theirs.receive(1.0) == {"last": True}
    with pytest.raises(ChannelClosed, match="gone"):
        theirs.receive(1.0)
    with pytest.raises(ChannelClosed):
        theirs.send({})


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b"x" * (MAX_LINE_BYTES + 1)])
def test_what_is_not_this_protocol_ends_it(line: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(theirs)
    sender = threading.Thread(target=ours.sendall, args=(line,))
    sender.start()
    with pytest.raises(ChannelClosed):
        wait_until(lambda: channel.receive(1.0) is not None, 5)
    theirs.close()
    ours.close()
    sender.join(5)


def test_what_json_cannot_hold_is_not_sent() -> None:
    ours, theirs, _ = pair()
    with pytest.raises(ValueError, match="JSON"):
        ours.send({"x": float("nan")})
    with pytest.raises(ValueError, match="limit"):
        ours.send({"x": "y" * MAX_LINE_BYTES})
    assert theirs.receive(0) is None


def test_closing_wakes_the_thread_that_waits() -> None:
    ours, _theirs, _ = pair()
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(ChannelClosed):
            ours.receive(30.0)
        ended.set()

    threading.Thread(target=wait).start()
    ours.close()
    assert ended.wait(5)


def test_waiting_on_a_side_that_is_closed_is_its_end() -> None:
    """As a thread does that was between two waits when another one closed it."""
    ours, theirs, _ = pair()
    ours.close()
    theirs.close()
    with pytest.raises(ChannelClosed, match="this side is closed"):
        ours.receive(5)


def test_an_error_arrives_as_the_kind_that_it_is() -> None:
    class OfAServer(UnavailableError):
        pass

    for error, kind in ((OfAServer("a", "b"), UnavailableError), (UsageError("a", "b"), UsageError)):
        arrived = error_of(error_object(error))
        assert (type(arrived), arrived.message, arrived.hint) == (kind, "a", "b")
