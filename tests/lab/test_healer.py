"""The lab's self-healers at work: one backs off, one storms; and a lab ends with what they have started."""

import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.faults.crash_loop import CrashLoop
from chaosdrills.faults.node import node_target
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import send_signal, this_process, wait_until
from chaosdrills.lab import lifecycle, redis, supervision
from chaosdrills.lab.healer import KEY, POLICIES, Turn
from chaosdrills.observe.counts import Source
from chaosdrills.observe.watches import watches_of
from tests.conftest import REDIS_OFFSETS, free_base_port
from tests.lab.redis_nodes import ask, primary, wait_whole

FOLLOWS = 2
BACKOFF, STORM, GUARDED = {"healer": "backoff"}, {"healer": "storm"}, {"healer": "backoff", "acl": True}


@pytest.fixture
def lab(own_state: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A lab with the options that a test asks for."""
    options = {"base_port": free_base_port(REDIS_OFFSETS), **request.param}
    yield lifecycle.up("redis", options, owner=this_process())
    assert lifecycle.down("redis")
    assert supervision.living("redis") == []


def sources(cluster: Cluster) -> tuple[Source, Source]:
    """Its attempts on its page, and in the Redis."""
    found = redis.configuration(cluster)
    page = {"name": "page", "url": f"{found['redis_healer_url']}/metrics", "metric": "restart_attempts_total"}
    kept = {"redis_url": found["redis_url"], "key": KEY}
    key = {"name": "key", "source": "chaosdrills.redis.attempts:RedisAttempts", "arguments": kept}
    one, other = (watch.begin() for watch in watches_of([page, key]))
    return one, other


def now() -> Cluster:
    cluster = nodes.load("redis")
    assert cluster is not None
    return cluster


@pytest.mark.lab
@pytest.mark.parametrize("lab", [BACKOFF, GUARDED], indirect=True, ids=["plainly", "with users"])
def test_a_server_that_is_gone_is_started_again_and_that_is_counted(lab: Cluster) -> None:
    page, key = sources(lab)
    assert (page.look(5).count, key.look(5).count) == (0, 0)
    victim = lab.node(FOLLOWS).process
    assert victim is not None
    send_signal(victim, signal.SIGKILL)
    assert wait_until(lambda: now().node(FOLLOWS).alive and now().node(FOLLOWS).process != victim, 20)
    wait_whole(now())
    assert page.look(5).count == 1
    assert wait_until(lambda: key.look(5).count == 1, 20)
    assert f"node {FOLLOWS}" in str(ask(now(), primary(now()), "ZRANGE", KEY, 0, -1))
    text = urllib.request.urlopen(f"{redis.configuration(lab)['redis_healer_url']}/metrics").read().decode()
    assert f'restart_attempts_total{{node="{FOLLOWS}"}} 1.0' in text
    page.close()


@pytest.mark.lab
@pytest.mark.parametrize("lab", [BACKOFF, STORM], indirect=True, ids=["backoff", "storm"])
def test_in_a_crash_loop_one_waits_longer_and_longer_and_one_storms(lab: Cluster) -> None:
    page, _ = sources(lab)
    fault, target = CrashLoop(), node_target(lab, FOLLOWS, "node 2", "id")
    fault.inject(target)
    storms = lab.options["healer"] == "storm"
    assert wait_until(lambda: page.look(5).count >= (20 if storms else 3), 20)
    assert "can't open config file" in Path(lab.node(FOLLOWS).log).read_text()
    assert fault.heal(target)
    fault.wait_healed(target, 30)
    wait_whole(now())
    count = page.look(5).count
    assert count >= 20 if storms else count <= 5
    page.close()


@pytest.mark.lab
@pytest.mark.parametrize("lab", [BACKOFF], indirect=True)
def test_a_lab_with_a_healer_is_not_one_with_another(lab: Cluster) -> None:
    where = {"base_port": lab.options["base_port"]}
    assert lifecycle.up("redis", {**where, "healer": "backoff"}, owner=this_process()).nodes[6].kind == "healer"
    for asked, why in (({"healer": "storm"}, "backoff, not storm"), ({}, "backoff, not none")):
        with pytest.raises(UsageError, match=rf"another healer: {why}\."):
            lifecycle.up("redis", {**where, **asked}, owner=this_process())


@pytest.mark.lab
@pytest.mark.parametrize("lab", [STORM], indirect=True)
def test_a_lab_ends_while_its_healer_storms(lab: Cluster) -> None:
    page, _ = sources(lab)
    CrashLoop().inject(node_target(lab, FOLLOWS, "node 2", "id"))
    assert wait_until(lambda: page.look(5).count >= 2, 20)
    page.close()
    assert lifecycle.down("redis")
    assert supervision.living("redis") == []
    lifecycle.up("redis", {"base_port": lab.options["base_port"]}, owner=this_process())


def attempts(policy: str, gone: list[tuple[float, float]], until_s: float) -> list[float]:
    """When a node that is gone in these spans is started, looked at ten times a second."""
    turn, made = Turn(POLICIES[policy]), []
    for tick in range(round(until_s * 10)):
        now_s = 1000 + tick / 10
        if not any(begin <= tick / 10 < end for begin, end in gone):
            turn.lives(now_s)
        elif turn.is_due(now_s):
            made.append(tick / 10)
    return made


def test_the_pauses_of_a_back_off() -> None:
    assert attempts("backoff", [(5, 100)], 100) == pytest.approx([5, 6, 8, 12, 20, 36, 66, 96])


def test_a_storm_has_no_pauses() -> None:
    assert 16 < len(attempts("storm", [(5, 10)], 20)) < 27


def test_a_node_that_has_lived_for_a_while_is_started_at_once() -> None:
    assert attempts("backoff", [(5, 7), (18, 19)], 30) == pytest.approx([5, 6, 18])
    assert attempts("backoff", [(5, 7), (7.5, 9)], 30) == pytest.approx([5, 6, 8])
