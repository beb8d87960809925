"""The lab's small application: ``python -m chaosdrills.lab.application PORT``, a node of the PostgreSQL lab.

It stands for somebody else's program, a staging application that keeps its users' notes in PostgreSQL and has a health
page that a drill polls. So it knows nothing of drills, and its half that reaches the database
(`chaosdrills.lab.application_database`) has a driver and a pool of its own, as a user would take them.

``GET /`` shows the newest notes, ``POST /`` (a form's ``text``) adds one. ``GET /health`` answers 200 and
``{"database": {"state": "up", "server": "127.0.0.1:25432"}}`` if a query through the database succeeds now, else 503
and ``{"database": {"state": "down", "why": "..."}}``. ``GET /metrics`` is Prometheus's page. `DATABASE_URL` in its
environment is its DSN. It listens on loopback only.
"""

import html
import json
import logging
import os
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs

from chaosdrills.lab.application_database import Database, Down
from chaosdrills.lab.application_metrics import CONTENT_TYPE, Metrics

DATABASE_URL = "DATABASE_URL"
HOST = "127.0.0.1"
MOST_TEXT = 200  # characters of a note
MOST_BODY = 4096  # bytes of a form
IDLE_S = 30.0  # how long a connection may say nothing
JSON, HTML = "application/json", "text/html; charset=utf-8"

logger = logging.getLogger("application")


class Page(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    server_version = "staging"
    timeout = IDLE_S
    database: ClassVar[Database]
    metrics: ClassVar[Metrics]

    def do_GET(self) -> None:
        """Show notes, health or metrics."""
        path = self.path.partition("?")[0]
        if path == "/health":
            self._health()
        elif path == "/metrics":
            self._answer(path, HTTPStatus.OK, CONTENT_TYPE, self.metrics.page(self.database))
        elif path == "/":
            self._notes()
        else:
            self._answer("other", HTTPStatus.NOT_FOUND, JSON, b'{"why": "there is no such page"}\n')

    def do_POST(self) -> None:
        """Add the note of a form."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/" or not length.isdecimal() or int(length) > MOST_BODY:
            self.close_connection = True
            return self._answer("other", HTTPStatus.BAD_REQUEST, JSON, b'{"why": "that is no note"}\n')
        form = parse_qs(self.rfile.read(int(length)).decode(errors="replace"))
        text = form.get("text", [""])[0].replace("\0", "")[:MOST_TEXT]
        try:
            self.database.add(text)
        except Down as down:
            return self._down("/", down)
        return self._answer("/", HTTPStatus.SEE_OTHER, HTML, b"", {"Location": "/"})

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are counted, not logged."""

    def _health(self) -> None:
        try:
            server = self.database.server()
        except Down as down:
            return self._down("/health", down)
        return self._answer("/health", HTTPStatus.OK, JSON, _json({"state": "up", "server": server}))

    def _notes(self) -> None:
        try:
            count, notes = self.database.notes()
        except Down as down:
            return self._down("/", down)
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        form = '<form method="post"><input name="text" maxlength="200"> <button>Add</button></form>'
        page = f"<!doctype html><title>Notes</title><h1>{count} notes</h1>{form}<ul>{items}</ul>\n"
        return self._answer("/", HTTPStatus.OK, HTML, page.encode())

    def _down(self, page: str, down: Down) -> None:
        self._answer(page, HTTPStatus.SERVICE_UNAVAILABLE, JSON, _json({"state": "down", "why": str(down)}))

    def _answer(
        self, page: str, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.metrics.requests.labels(page, str(int(status))).inc()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A thread a connection, none of which keeps the program alive."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no trouble of ours."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            logger.error("a request failed", exc_info=error)


def _json(database: dict[str, str]) -> bytes:
    return (json.dumps({"database": database}) + "\n").encode()


def main(argv: list[str]) -> None:
    """Serve on the port `argv[0]` until it is killed."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    Page.metrics = Metrics()
    Page.database = Database(os.environ[DATABASE_URL], Page.metrics)
    with Server((HOST, int(argv[0])), Page) as server:
        logger.info("serving on %s:%s", HOST, argv[0])
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
