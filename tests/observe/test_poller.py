"""Polls of a real HTTP server that fails in every way: what each outcome is, and that none holds up another."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaosdrills.core.history import NO_SEQ, NO_TIME, NS, Outcome
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.endpoints import Endpoint, endpoints_of
from chaosdrills.observe.ledger import LedgerPage, Sheet
from chaosdrills.observe.poller import Client, Poller
from tests.observe.web import ANSWERS, Web, serving, wait_heads

OK, FAILED, UNKNOWN = Outcome


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


def endpoint(web: Web, **more: Any) -> Endpoint:
    return endpoints_of([{"name": "app", "url": web.url, **more}])[0]


def polled(web: Web, **more: Any) -> tuple[Outcome, str]:
    return asyncio.run(Client(endpoint(web, **more), None).poll())


JSON = {"json": "database", "equals": "up"}


@pytest.mark.parametrize(
    ("mode", "expect", "outcome", "why"),
    [
        ("good", {"status": 200}, OK, ""),
        ("good", {"status": [200, 204]}, OK, ""),
        ("good", {"status": 204}, FAILED, "status 200"),
        ("good", JSON, OK, ""),
        ("good", {**JSON, "status": 200}, OK, ""),
        ("good", {"json": "parts.0.lag", "equals": 0.5}, OK, ""),
        ("good", {"json": "parts.1.lag", "equals": 0.5}, FAILED, "no field parts.1.lag"),
        ("good", {"json": "ready", "equals": 1}, FAILED, "another value of ready"),
        ("good", {"json": "database", "equals": None}, FAILED, "another value of database"),
        ("good", {"json": "nothing", "equals": None}, FAILED, "no field nothing"),
        ("good", {"json": "database", "differs": None}, OK, ""),
        ("good", {"json": "database", "differs": "up"}, FAILED, "the value of database"),
        ("good", {"json": "nothing", "differs": None}, FAILED, "no field nothing"),
        ("good", [JSON, {"json": "ready", "equals": True}], OK, ""),
        ("good", [JSON, {"json": "ready", "equals": False}, {"status": 500}], FAILED, "another value of ready"),
        ("bad", [{"status": 503}, {"status": 200}], FAILED, "status 503"),
        ("chunked", JSON, OK, ""),
        ("until closed", JSON, OK, ""),
        ("interim", JSON, OK, ""),
        ("no content", {"status": 204}, OK, ""),
        ("no content", JSON, FAILED, "an answer that is not JSON"),
        ("bad", {"status": 200}, FAILED, "status 503"),
        ("bad", {"status": 503}, OK, ""),
        ("redirect", {"status": 200}, FAILED, "status 302"),
        ("redirect", {"status": 302}, OK, ""),
        ("metrics", {"metric": 'queue_length{queue="in"}', "at_most": 12}, OK, ""),
        ("metrics", {"metric": 'queue_length{queue="in"}', "at_most": 11.9}, FAILED, "queue_length out of bounds"),
        ("metrics", {"metric": 'queue_length{queue="out"}', "at_least": 350, "at_most": 350}, OK, ""),
        ("metrics", {"metric": "queue_length", "at_most": 349}, FAILED, "queue_length out of bounds"),
        ("metrics", {"metric": "queue_length", "at_most": 350}, OK, ""),
        ("metrics", {"metric": "up", "at_least": 1}, OK, ""),
        ("metrics", {"metric": "down", "at_least": 1}, FAILED, "no sample of down"),
        ("metrics", {"metric": "nothing", "at_least": 1}, FAILED, "nothing out of bounds"),
        ("metrics", {"metric": "broken", "at_least": 1}, FAILED, "a malformed sample of broken"),
        ("not UTF-8", {"metric": "up", "at_least": 1}, FAILED, "an answer that is not UTF-8"),
        ("not JSON", JSON, FAILED, "an answer that is not JSON"),
        ("garbage", {"status": 200}, FAILED, "an answer that is not HTTP"),
        ("mistaken", {"status": 200}, FAILED, "an answer that is not HTTP"),
        ("bad status", {"status": 200}, FAILED, "an answer that is not HTTP"),
        ("bad head", {"status": 200}, FAILED, "an answer with a malformed head"),
        ("bad length", {"status": 200}, FAILED, "an answer with a malformed length"),
        ("bad chunk", {"status": 200}, FAILED, "an answer with a malformed chunk"),
        ("long head", {"status": 200}, FAILED, "an answer whose head has no end"),
        ("huge", {"status": 200}, FAILED, "an answer of more than 1 MiB"),
        ("huge length", {"status": 200}, FAILED, "an answer of more than 1 MiB"),
        ("huge chunk", {"status": 200}, FAILED, "an answer of more than 1 MiB"),
        ("half", {"status": 200}, UNKNOWN, "the connection was closed in the middle of an answer"),
        ("half a head", {"status": 200}, UNKNOWN, "the connection was closed before an answer"),
        ("half a chunk", {"status": 200}, UNKNOWN, "the connection was closed in the middle of an answer"),
        ("silent", {"status": 200}, UNKNOWN, "the connection was closed before an answer"),
        ("slow", {"status": 200}, OK, ""),
    ],
)  # fmt: skip
def test_what_a_poll_finds(web: Web, mode: str, expect: Any, outcome: Outcome, why: str) -> None:
    web.mode = mode
    assert polled(web, expect=expect, timeout_s=10) == (outcome, why)


@pytest.mark.parametrize("mode", ["hang", "drip", "slow"])
def test_no_answer_in_time(web: Web, mode: str) -> None:
    web.mode = mode
    begun = time.monotonic()
    assert polled(web, timeout_s=0.1) == (UNKNOWN, "no answer within 0.1 s")
    assert time.monotonic() - begun < 5


def test_tls_with_a_server_that_has_none_is_no_answer(web: Web) -> None:
    (secure,) = endpoints_of([{"name": "app", "url": web.url.replace("http:", "https:")}])
    web.mode = "mistaken"
    assert secure.secure
    assert asyncio.run(Client(secure, ssl.create_default_context()).poll()) == (UNKNOWN, "TLS failed")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate and its key in one file, for the name localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "localhost.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", str(tmp_path / "cert")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + (tmp_path / "cert").read_text())
    return path


def test_tls_needs_a_certificate_that_is_trusted(certificate: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS["good"])
        writer.close()

    async def poll() -> list[tuple[Outcome, str]]:
        ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ours.load_cert_chain(certificate)
        server = await asyncio.start_server(answer, "localhost", 0, ssl=ours)
        port = server.sockets[0].getsockname()[1]
        (secure,) = endpoints_of([{"name": "app", "url": f"https://localhost:{port}/", "timeout_s": 10}])
        contexts = ssl.create_default_context(cafile=str(certificate)), ssl.create_default_context()
        async with server:
            return [await Client(secure, context).poll() for context in contexts]

    assert asyncio.run(poll()) == [(OK, ""), (UNKNOWN, "TLS failed")]


def test_a_connection_that_is_refused_is_no_answer(web: Web) -> None:
    web.refuse()
    assert polled(web) == (UNKNOWN, "connection refused")


def test_a_server_that_takes_no_connection_is_no_answer() -> None:
    """Its backlog is full: connecting hangs, and so may nothing else."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        socket.socket() as first,
        socket.socket() as second,
    ):
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        (hanging,) = endpoints_of(
            [{"name": "app", "url": f"http://127.0.0.1:{server.getsockname()[1]}", "timeout_s": 0.2}]
        )
        assert asyncio.run(Client(hanging, None).poll())[0] == UNKNOWN


def test_a_name_that_nobody_has_is_no_answer() -> None:
    (nowhere,) = endpoints_of([{"name": "app", "url": "http://nowhere.invalid/", "timeout_s": 20}])
    assert asyncio.run(Client(nowhere, None).poll()) == (UNKNOWN, "no connection")


def test_what_a_request_says(web: Web) -> None:
    url = web.url.replace("127.0.0.1", "us%65r:p%40ss@127.0.0.1") + "?deep=1#part"
    (one,) = endpoints_of([{"name": "app", "url": url}])
    assert asyncio.run(Client(one, None).poll()) == (OK, "")
    assert web.heads == [
        f"GET /health?deep=1 HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nUser-Agent: chaosdrills\r\nAccept: */*\r\n"
        "Authorization: Basic dXNlcjpwQHNz\r\nConnection: close\r\n\r\n".encode()
    ]
    assert "p@ss" not in repr(one)
    assert "dXNlcjpwQHNz" not in repr(one)


def test_what_is_posted(web: Web) -> None:
    (one,) = endpoints_of([{"name": "app", "url": web.url, "body": {"features": ["stats:é"]}}])
    assert asyncio.run(Client(one, None).poll()) == (OK, "")
    assert web.heads == [
        f"POST /health HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nUser-Agent: chaosdrills\r\nAccept: */*\r\n"
        "Content-Type: application/json\r\nContent-Length: 30\r\nConnection: close\r\n\r\n"
        '{"features": ["stats:\\u00e9"]}'.encode()
    ]


@pytest.mark.parametrize(
    ("keep_alive", "mode", "connections"), [(False, "keep", 3), (True, "keep", 1), (True, "good", 3)]
)
def test_each_poll_comes_anew_unless_connections_are_kept(
    web: Web, keep_alive: bool, mode: str, connections: int
) -> None:
    """In the mode "good" the server closes after each answer, though it did not say so: no poll may fail by that."""
    web.mode = mode

    async def three_times() -> list[tuple[Outcome, str]]:
        client = Client(endpoint(web, keep_alive=keep_alive), None)
        found = [await client.poll() for _ in range(3)]
        client.close()
        return found

    assert asyncio.run(three_times()) == [(OK, "")] * 3
    assert web.connections == connections


class Notes:
    """A page, and the polls on it: (stream, invoked_ns, completed_ns, outcome)."""

    def __init__(self) -> None:
        self._sheets: list[Sheet] = []
        self.page = LedgerPage(self._sheets.append, lambda: 0)

    def table(self) -> np.ndarray[Any, Any]:
        return np.concatenate([np.zeros((0, 5), np.int64), *(sheet.polls for sheet in list(self._sheets))])


def start(*given: dict[str, Any]) -> tuple[Poller, Notes]:
    poller, notes = Poller(endpoints_of(given)), Notes()
    poller.begin(notes.page)
    return poller, notes


def test_polls_are_due_by_a_schedule(web: Web) -> None:
    poller, notes = start({"name": "app", "url": web.url, "rate_per_s": 50})
    assert wait_heads(web, 30)
    poller.finish(5)
    table = notes.table()
    table = table[np.argsort(table[:, 2])]
    assert set(table[:, 0]) == {0}
    assert set(table[:, 1]) == {NO_SEQ}
    assert set(np.diff(table[:, 2])) == {NS // 50}
    assert set(table[:, 4]) == {OK}
    assert len(table) == len(web.heads) == poller.lateness.count
    ((name, _, detail),) = poller.checks(NS)
    assert (name, "99 % within" in detail) == ("polls kept their schedule", True)


def test_a_server_that_hangs_holds_up_nothing(web: Web) -> None:
    """Neither later polls of it nor those of another endpoint; what is in flight is bounded."""
    web.mode = "hang"
    with serving() as other:
        poller, notes = start(
            {"name": "hangs", "url": web.url, "rate_per_s": 100, "timeout_s": 0.5},
            {"name": "good", "url": other.url, "rate_per_s": 50},
        )
        assert wait_until(lambda: (notes.table()[:, 4] == UNKNOWN).sum() >= 50, 20)
        poller.finish(5)
    table = notes.table()
    good, hanging = (table[table[:, 0] == number] for number in (1, 0))
    assert set(good[:, 4]) == {OK}
    assert set(hanging[:, 4]) <= {UNKNOWN, FAILED}
    assert set(np.diff(np.sort(hanging[:, 2]))) == {NS // 100}
    assert poller.troubles == {"hangs": "no answer within 0.5 s"}


def test_what_cannot_be_sent_is_failed(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: Client) -> tuple[Outcome, str]:
        await asyncio.sleep(3600)
        return OK, ""

    monkeypatch.setattr(Client, "poll", never)
    poller, notes = start({"name": "app", "url": web.url, "rate_per_s": 100, "timeout_s": 0.01})
    assert wait_until(lambda: len(notes.table()) >= 20, 20)
    assert set(notes.table()[:, 4]) == {FAILED}
    poller.finish(0)
    given_up = notes.table()[notes.table()[:, 4] == UNKNOWN]
    assert set(given_up[:, 3]) == {NO_TIME}
    assert len(given_up) == 12


def test_polls_in_flight_are_given_up_at_the_end(web: Web) -> None:
    web.mode = "hang"
    poller, notes = start({"name": "app", "url": web.url, "timeout_s": 30})
    assert wait_heads(web, 3)
    begun = time.monotonic()
    poller.finish(0.2)
    poller.finish(0)
    assert time.monotonic() - begun < 3
    table = notes.table()
    assert len(table) >= 3
    assert set(table[:, 4]) == {UNKNOWN}
    assert set(table[:, 3]) == {NO_TIME}


def test_a_resolver_that_hangs_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It blocks a thread that nothing can end; what was polled is noted all the same."""
    released = threading.Event()

    def hang(*names: Any, **more: Any) -> list[Any]:
        released.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "nobody knows it")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        poller, notes = start({"name": "app", "url": "http://slowly.example/", "rate_per_s": 50, "timeout_s": 0.1})
        assert wait_until(lambda: len(notes.table()) >= 10, 20)
        begun = time.monotonic()
        poller.finish(20)
        assert time.monotonic() - begun < 5
        due = np.sort(notes.table()[:, 2])
        assert set(notes.table()[:, 4]) == {UNKNOWN}
        assert set(np.diff(due)) == {NS // 50}
    finally:
        released.set()


def test_without_endpoints_there_is_no_thread() -> None:
    poller, notes = start()
    poller.finish(1)
    assert (poller.checks(NS), len(notes.table())) == ([], 0)
