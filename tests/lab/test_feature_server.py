"""Feast's feature server as a node of the Redis lab: it serves features, and is not well while it serves none."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.feast.environment import VARIABLE
from chaosdrills.feast.settings import Settings
from chaosdrills.host.nodes import Cluster, load, start_node
from chaosdrills.host.processes import stop, this_process, wait_until
from chaosdrills.lab import feature_server, lifecycle, redis, supervision
from tests.conftest import REDIS_OFFSETS, free_base_port
from tests.lab.redis_nodes import ask, primary

pytestmark = pytest.mark.lab

SERVED = {
    "values": [[1001], [100]],
    "statuses": [["PRESENT"], ["PRESENT"]],
    "event_timestamps": [["1970-01-01T00:00:00Z"], ["2026-01-01T00:00:00Z"]],
}


@pytest.fixture(scope="module")
def feast_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        options = {"base_port": free_base_port(REDIS_OFFSETS), "feast": True}
        yield lifecycle.up("redis", options, owner=this_process())
        lifecycle.down("redis")


def served(cluster: Cluster, driver: int = 1001) -> dict[str, Any]:
    body = {"features": ["driver_stats:trips"], "entities": {"driver_id": [driver]}}
    url, kind = redis.configuration(cluster)["feast_url"], {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), kind), timeout=10) as answer:
        found = json.load(answer)["results"]
    return {name: [each[name] for each in found] for name in SERVED}


def test_it_serves_what_was_materialised(feast_lab: Cluster) -> None:
    assert served(feast_lab) == SERVED
    node = feast_lab.node(feature_server.NODE_ID)
    assert (node.kind, node.alive) == ("feature-server", True)
    assert list(Path(node.data_dir).glob("tmp/feast_metrics_*")), "what Feast leaves behind goes with the lab"


def test_its_repository_leads_to_the_labs_own_redis(feast_lab: Cluster) -> None:
    told = redis.configuration(feast_lab)
    settings = Settings.of(told["feast_repository"])
    assert (settings.project, settings.redis_url) == ("chaosdrills", told["redis_url"])


def test_a_lab_with_it_will_do_where_none_was_asked_for(feast_lab: Cluster) -> None:
    assert lifecycle.up("redis", {}, owner=this_process()).nodes[-1].kind == "feature-server"


def test_one_that_was_killed_comes_back_with_the_same_store(feast_lab: Cluster) -> None:
    process = feast_lab.node(feature_server.NODE_ID).process
    assert process is not None
    stop([process], 0)
    assert wait_until(lambda: start_node("redis", feature_server.NODE_ID), 20), "its port is free when its worker ended"
    assert wait_until(lambda: not redis.awaited(feast_lab), 60, 0.2), redis.awaited(feast_lab)
    assert served(feast_lab) == SERVED


def test_it_is_not_well_while_no_feature_is_served(feast_lab: Cluster) -> None:
    ask(feast_lab, primary(feast_lab), "FLUSHALL")
    health = redis.configuration(feast_lab)["feast_url"].replace(feature_server.PATH, "/health")
    with urllib.request.urlopen(health, timeout=5) as answer:
        assert answer.status == 200
    assert served(feast_lab)["values"] == [[1001], [None]]
    assert redis.awaited(feast_lab) == (
        "a feature to be served (driver_stats:trips of 1001 is None, of 1970-01-01T00:00:00Z)"
    )


def test_one_that_is_gone_is_missed(feast_lab: Cluster) -> None:
    running = load("redis")
    assert running is not None
    node = running.node(feature_server.NODE_ID)
    assert node.process is not None
    stop([node.process])
    missed = "an answer of the feature server ("
    assert wait_until(lambda: redis.awaited(feast_lab).startswith(missed), 10), redis.awaited(feast_lab)
    found = load("redis")
    assert found is not None
    assert not found.node(feature_server.NODE_ID).alive


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"[]", "an answer of the feature server that has features"),
        (b"no", "an answer of the feature server that has features"),
        (b'{"results": [{}]}', "an answer of the feature server that has features"),
        (b'{"results": [{}, {"values": [100], "event_timestamps": ["2026-01-01T00:00:00Z"]}]}', ""),
        (b'{"results": [{}, {"values": [100], "event_timestamps": ["1970-01-01T00:00:00Z"]}]}',
         "a feature to be served (driver_stats:trips of 1001 is 100, of 1970-01-01T00:00:00Z)"),
    ],
)  # fmt: skip
def test_what_an_answer_serves(answer: bytes, why: str) -> None:
    assert feature_server.why_not(answer) == why


def test_the_option_is_true_or_false() -> None:
    assert redis.normalise({"feast": "true"})["feast"] is True
    assert redis.normalise({})["feast"] is None
    with pytest.raises(UsageError, match="the option feast is 'perhaps'"):
        redis.normalise({"feast": "perhaps"})


def test_without_feast_nothing_is_started(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(UsageError, match=f"{VARIABLE}=.* has no Feast with Redis"):
        lifecycle.up("redis", {"base_port": free_base_port(REDIS_OFFSETS), "feast": True}, owner=this_process())
    assert load("redis") is None
    assert supervision.living("redis") == []


@pytest.mark.parametrize("other", ["acl", "tls"])
def test_feast_reaches_no_sentinel_that_asks_for_more(other: str) -> None:
    with pytest.raises(UsageError, match=f"the option feast does not go with {other}: Feast speaks to sentinels"):
        redis.normalise({"feast": True, other: True})
