"""The connections of the load: what is answered on one, and how often one is asked for."""

import socket
import threading
from collections.abc import Iterator

import pytest

from chaosdrills.core.history import Outcome
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.sending import Lost
from chaosdrills.redis.arguments import Acknowledgement, Arguments
from chaosdrills.redis.client import Session
from chaosdrills.redis.connecting import Made, ServerConnector
from chaosdrills.redis.finding import Client
from chaosdrills.redis.line import Line
from chaosdrills.redis.url import Login, RedisUrl
from chaosdrills.redis.writing import LedgerWriting
from tests.conftest import free_base_port


@pytest.fixture
def pair() -> Iterator[tuple[Made, socket.socket]]:
    """A connection as the load has them, and its other end, at which the test answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ends: list[socket.socket] = []

        def let_in() -> None:
            ends.append(listener.accept()[0])
            ends[0].recv(4096)
            ends[0].sendall(b"+OK\r\n")

        thread = threading.Thread(target=let_in)
        thread.start()
        session = Session(f"127.0.0.1:{listener.getsockname()[1]}", Login(), "test", 5)
        thread.join()
        session.socket.setblocking(False)
        with ends[0]:
            yield Made(0, session, session.socket.fileno(), False), ends[0]
        session.close()


@pytest.mark.parametrize("acknowledgement", ["reply", "WAIT 1"])
@pytest.mark.parametrize(
    ("answers", "why"), [(b"+OK\r\n:1\r\n", "nobody waits for: "), (b"HTTP/1.1 400\r\n", "no Redis gives")]
)
def test_what_nobody_asked_for_costs_the_connection_alone(
    pair: tuple[Made, socket.socket], acknowledgement: str, answers: bytes, why: str
) -> None:
    made, other = pair
    promised = Acknowledgement.of(acknowledgement)
    arguments = Arguments.of({"url": "redis://x", "connections": 1, "acknowledgement": acknowledgement})
    line, settled = Line(0, 8, LedgerWriting(arguments, "d1"), promised, 100, True), list[tuple[int, Outcome]]()
    line.adopt(made)
    line.waiting.append(0)
    line.push(0)
    expected = b"+OK\r\n:1\r\n" if promised.command else b"+OK\r\n"
    other.sendall(expected + answers)

    def receive() -> None:
        while True:
            line.receive(lambda number, outcome: settled.append((number, outcome)))

    with pytest.raises(Lost, match=why):
        receive()
    assert settled == [(0, Outcome.OK)]


def test_a_server_that_is_gone_is_not_asked_for_all_the_time() -> None:
    asked = []

    class Counting(ServerConnector):
        def make(self, stream: int) -> Made:
            asked.append(stream)
            return super().make(stream)

    gone = f"127.0.0.1:{free_base_port((0,))}"
    connector = Counting(Client(RedisUrl.of(f"redis://{gone}"), "test"), 0)
    connector.old = gone
    connector.start()
    connector.ask(0)
    connector.ask(1)
    assert wait_until(lambda: len(asked) >= 8, 20)
    assert asked == [0, 1] * (len(asked) // 2) + [0] * (len(asked) % 2)
    assert not wait_until(lambda: len(asked) > 14, 0.4), "twice a breath each at most"
    connector.stop()
