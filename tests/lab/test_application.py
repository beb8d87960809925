"""The lab's small application on real servers: what its pages say while its primary dies, or freezes."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage
from typing import Any

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.faults import lock
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import wait_until
from chaosdrills.lab import application_node
from chaosdrills.lab.application_database import BUDGET_S
from chaosdrills.timescaledb import actions
from chaosdrills.timescaledb.roles import choose
from chaosdrills.timescaledb.way import way_of
from tests.timescaledb.servers import ask, primary, settings

pytestmark = pytest.mark.lab

Health = tuple[int, dict[str, Any]]


class Redirected(urllib.request.HTTPRedirectHandler):
    """Shows a redirect instead of following it."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


class Application:
    """The application as its users see it."""

    def __init__(self, lab: Cluster) -> None:
        self.url = settings(lab)["timescaledb_app_url"].removesuffix("/health")
        self._opener = urllib.request.build_opener(Redirected)

    def get(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str, HTTPMessage]:
        data = None if form is None else urllib.parse.urlencode(form).encode()
        try:
            with self._opener.open(self.url + path, data, timeout=10) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    def health(self) -> Health:
        status, text, _ = self.get("/health")
        return status, json.loads(text)["database"]

    def count(self, name: str, **labels: str) -> float:
        """A sample of its metrics, 0 if it is not there."""
        wanted = "".join(f'{key}="{value}",' for key, value in sorted(labels.items())).rstrip(",")
        sample = f"{name}{{{wanted}}} " if wanted else f"{name} "
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(sample)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0


@pytest.fixture
def lab(timescaledb_lab: Cluster) -> Iterator[Cluster]:
    yield timescaledb_lab
    healing = heal_outstanding()
    lock.release()
    healing.demand()
    actions.wait_whole(120, configuration=settings(timescaledb_lab))


@pytest.fixture
def application(lab: Cluster) -> Application:
    return Application(lab)


def test_it_says_which_server_it_uses(lab: Cluster, application: Application) -> None:
    assert application.health() == (200, {"state": "up", "server": primary(lab).endpoint})
    assert application.get("/nowhere")[0] == 404


def test_its_page_reads_and_writes_its_own_table(lab: Cluster, application: Application) -> None:
    before = int(str(ask(lab, "SELECT count(*) FROM pg_stat_user_tables WHERE schemaname = 'staging'")))
    status, _, headers = application.get("/", {"text": "<b>it's a note</b>"})
    assert (before, status, headers["Location"]) == (1, 303, "/")
    status, page, _ = application.get("/")
    assert (status, "<li>&lt;b&gt;it&#x27;s a note&lt;/b&gt;</li>" in page) == (200, True)
    assert application.get("/", {"text": "x" * 5000})[0] == 400
    assert "<h1>1 notes</h1>" in application.get("/")[1]


def test_no_fault_hits_it(lab: Cluster) -> None:
    (node,) = [node for node in lab.nodes if node.kind == application_node.KIND]
    with pytest.raises(UsageError, match="node 4 of the lab is the application, which no fault hits"):
        choose("id", node.id, way_of(settings(lab), {}), lab)


def test_health_goes_down_and_comes_back_when_the_primary_dies(lab: Cluster, application: Application) -> None:
    leads = primary(lab)
    served = application.count("staging_requests_total", page="/health", status="503")
    failed = application.count("staging_query_seconds_count")
    actions.kill_node(configuration=settings(lab))
    seen = until_up(application)
    down = [told for status, told in seen if status == 503]
    assert down
    assert all(told["state"] == "down" and told["why"] for told in down)
    (last,) = seen[-1:]
    assert (last[0], last[1]["state"]) == (200, "up")
    assert last[1]["server"] not in ("", leads.endpoint)
    assert application.count("staging_requests_total", page="/health", status="503") == served + len(down)
    assert application.count("staging_query_seconds_count") == failed + len(seen)
    assert application.count("staging_database_up") == 1
    assert application.get("/")[0] == 200


def test_a_frozen_primary_keeps_no_request_and_no_connection(lab: Cluster, application: Application) -> None:
    leads = primary(lab)
    actions.pause_node(configuration=settings(lab))
    begun = time.monotonic()
    status, told = application.health()
    assert status == 503
    assert time.monotonic() - begun < BUDGET_S + 4, "it waits for nobody"  # who does wait, does so for ever
    assert application.count("staging_database_up") == 0
    _, told = until_up(application)[-1]
    assert told["server"] not in ("", leads.endpoint), "the frozen one has not woken up"


def until_up(application: Application) -> list[Health]:
    """What health says from now until it is well again after it was not."""
    seen: list[Health] = []

    def back() -> bool:
        seen.append(application.health())
        return seen[-1][0] == 200 and any(status != 200 for status, _ in seen)

    assert wait_until(back, 90, 0.05), seen[-1]
    return seen
