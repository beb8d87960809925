"""Redis servers and sentinels cut off from all, from their peers, from their clients: what each sees.

On labs of their own, one for each kind of network that can do it here.
"""

from collections.abc import Callable, Iterator

import pytest

from chaosdrills.faults import lock
from chaosdrills.faults.fault import Target
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.isolate import Isolate, isolate_target
from chaosdrills.host import network, packet_filter
from chaosdrills.host.network import CUT, Effect
from chaosdrills.host.nodes import Cluster, load
from chaosdrills.host.processes import this_process, wait_until
from chaosdrills.lab import lifecycle, redis
from chaosdrills.redis.client import ConnectionRefused, ServerError
from tests.conftest import REDIS_OFFSETS, free_base_port
from tests.faults.conformance import FaultConformance
from tests.faults.networks import FILTERED
from tests.lab.redis_nodes import ask, primary, primary_by, role, wait_whole

pytestmark = pytest.mark.lab

SILENCE_S = 0.6


@pytest.fixture(scope="module", params=[FILTERED, "proxied"])
def own_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp(f"state-{request.param}")))
        options = {"base_port": free_base_port(REDIS_OFFSETS), "network": request.param}
        yield lifecycle.up("redis", options, owner=this_process())
        assert lifecycle.down("redis")
        assert not packet_filter.clear("redis"), "a cut was left behind"


@pytest.fixture
def lab(own_lab: Cluster) -> Iterator[Cluster]:
    """A whole one, and made whole again."""
    yield own_lab
    healing = heal_outstanding()
    lock.release()
    healing.demand()
    for effect in network.in_force("redis", own_lab.network):
        network.lift("redis", own_lab.network, effect)
    found = load("redis")
    assert found is not None
    own_lab.nodes[:] = found.nodes
    wait_whole(own_lab)


def answers(lab: Cluster, node_id: int) -> bool:
    try:
        return bool(ask(lab, node_id, "PING", timeout_s=SILENCE_S) == b"PONG")
    except (ServerError, ConnectionRefused):
        return False


def others(node_id: int) -> list[int]:
    return [node for node in (1, 2, 3) if node != node_id]


class TestIsolateOnTheLab(FaultConformance):
    """Of a replica, which costs the least."""

    @pytest.fixture
    def fault(self) -> Isolate:
        return Isolate()

    @pytest.fixture
    def target(self, lab: Cluster) -> Target:
        return isolate_target(lab, others(primary(lab))[0], "the replica", "replica")

    @pytest.fixture
    def served(self, lab: Cluster, target: Target) -> Callable[[], bool]:
        return lambda: answers(lab, target.handle["node"])


def test_cut_off_from_its_peers_a_primary_takes_writes_that_are_gone_when_it_is_back(lab: Cluster) -> None:
    old = primary(lab)
    network.impose(lab, Effect(CUT, old, "peers"))
    assert wait_until(lambda: any(role(lab, node) == "master" for node in others(old)), 30), "nobody was promoted"
    new = next(node for node in others(old) if role(lab, node) == "master")
    assert role(lab, old) == "master"
    assert ask(lab, old, "SET", "chaosdrills:cut", "lost") == b"OK"
    assert ask(lab, new, "SET", "chaosdrills:cut", "kept") == b"OK"
    assert network.lift("redis", lab.network, Effect(CUT, old, "peers"))
    wait_whole(lab)
    assert (primary(lab), ask(lab, old, "GET", "chaosdrills:cut")) == (new, b"kept")


def test_cut_off_from_its_clients_a_primary_stays_one(lab: Cluster) -> None:
    leads = primary(lab)
    network.impose(lab, Effect(CUT, leads, "clients"))
    assert not answers(lab, leads)
    seen = "SENTINEL", "CKQUORUM", "drill"
    assert ask(lab, 4, *seen).startswith(b"OK 3 usable")
    follower = others(leads)[0]
    before = ask(lab, follower, "ROLE")[4]
    assert wait_until(lambda: ask(lab, follower, "ROLE")[4] > before, 15), "nothing is replicated any more"
    assert ask(lab, follower, "ROLE")[3] == b"connected"
    assert {primary_by(lab, node) for node in (4, 5, 6)} == {lab.node(leads).endpoint}


def test_a_sentinel_that_is_cut_off_is_missed_by_the_others(lab: Cluster) -> None:
    network.impose(lab, Effect(CUT, 5, "all"))
    assert not answers(lab, 5)
    assert wait_until(lambda: ask(lab, 4, "SENTINEL", "CKQUORUM", "drill").startswith(b"OK 2 usable"), 30)
    network.impose(lab, Effect(CUT, 6, "all"))
    leads = primary(lab)
    assert wait_until(lambda: _has_no_quorum(lab), 30)
    assert (primary(lab), redis.awaited(lab)) == (leads, "sentinel 4 to see 2 other sentinels")


def _has_no_quorum(lab: Cluster) -> bool:
    try:
        ask(lab, 4, "SENTINEL", "CKQUORUM", "drill")
    except ServerError as error:
        return error.code == "NOQUORUM"
    return False
