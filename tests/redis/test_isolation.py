"""A primary cut off from all, from its peers, from its clients: what it and the others see. On labs of their own."""

from collections.abc import Callable, Iterator

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.faults import lock
from chaosdrills.faults.fault import Target
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.isolate import Isolate, isolate_target
from chaosdrills.host import network, packet_filter
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import this_process, wait_until
from chaosdrills.lab import lifecycle, redis
from chaosdrills.redis import actions, preview, probes
from chaosdrills.redis.client import ConnectionRefused, ServerError
from chaosdrills.redis.way import way_of
from tests.conftest import REDIS_OFFSETS, free_base_port
from tests.faults.conformance import FaultConformance
from tests.faults.networks import FILTERED
from tests.lab.redis_nodes import ask, primary

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", params=[FILTERED, "proxied"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp(f"state-{request.param}")))
        options = {"base_port": free_base_port(REDIS_OFFSETS), "network": request.param}
        yield lifecycle.up("redis", options, owner=this_process())
        assert lifecycle.down("redis")
        assert not packet_filter.clear("redis"), "a cut was left behind"


@pytest.fixture(autouse=True)
def healed(lab: Cluster) -> Iterator[None]:
    yield
    healing = heal_outstanding()
    lock.release()
    healing.demand()
    for effect in network.in_force("redis", lab.network):
        network.lift("redis", lab.network, effect)
    actions.wait_whole(60, configuration=redis.configuration(lab))


def answers(lab: Cluster, node_id: int) -> bool:
    try:
        ask(lab, node_id, "SET", "mine", "1", timeout_s=0.5)
    except (ServerError, ConnectionRefused):
        return False
    return True


def promoted(lab: Cluster, old: int) -> bool:
    """Whether a sentinel and another server say that this leads now."""
    configured = redis.configuration(lab)
    leader = probes.sentinel_quorum(configured)["leader"]
    return leader != lab.node(old).endpoint and probes.primary(configured)["primaries"] > 0


@pytest.mark.parametrize("lab", [FILTERED], indirect=True, scope="module")
class TestIsolateOnTheLab(FaultConformance):
    """Of a replica, which costs the least. How a proxy cuts is the same for all services (`tests.faults`)."""

    @pytest.fixture
    def fault(self) -> Isolate:
        return Isolate()

    @pytest.fixture
    def target(self, lab: Cluster) -> Target:
        leads = primary(lab)
        return isolate_target(lab, next(node for node in (1, 2, 3) if node != leads), "the replica", "replica")

    @pytest.fixture
    def served(self, lab: Cluster, target: Target) -> Callable[[], bool]:
        def says_its_role() -> bool:
            try:
                return bool(ask(lab, target.handle["node"], "ROLE", timeout_s=0.5))
            except (ServerError, ConnectionRefused):
                return False

        return says_its_role


def test_cut_off_from_its_peers_it_goes_on_serving_and_another_is_promoted(lab: Cluster) -> None:
    configured, leads = redis.configuration(lab), primary(lab)
    what = f"isolation of node {leads} (primary) from its peers"
    assert actions.isolate_node(scope="peers", configuration=configured)["what"] == what
    assert wait_until(lambda: promoted(lab, leads), 30, 0.1)
    assert ask(lab, leads, "UNLINK", "mine") in (0, 1)
    assert answers(lab, leads)
    assert probes.primary(configured)["primaries"] == 2
    assert "two primaries at once" in probes.cluster_whole(configured)["lacks"]
    assert actions.heal_nodes(configured) == {"healed": 1, "nothing_to_do": 0}
    actions.wait_whole(60, configuration=configured)
    assert probes.role(leads, configured)["replica"]
    assert ask(lab, leads, "EXISTS", "mine") == 0, "what it took in its isolation is gone"


def test_cut_off_from_all_it_answers_nobody_and_another_is_promoted(lab: Cluster) -> None:
    configured, leads = redis.configuration(lab), primary(lab)
    assert actions.isolate_node(configuration=configured)["what"] == f"isolation of node {leads} (primary)"
    assert wait_until(lambda: promoted(lab, leads), 30, 0.1)
    assert not answers(lab, leads)
    seen = probes.cluster_whole(configured)
    assert (seen["silent"], seen["primaries"]) == (1, 1)


def test_cut_off_from_its_clients_nobody_is_promoted(lab: Cluster) -> None:
    configured, leads = redis.configuration(lab), primary(lab)
    epoch = probes.failovers(configured)["epoch"]
    actions.isolate_node(scope="clients", configuration=configured)
    assert not answers(lab, leads)
    seen = probes.sentinel_quorum(configured)
    assert (seen["leader"], seen["quorum"]) == (lab.node(leads).endpoint, True)
    actions.heal_nodes(configured)
    assert answers(lab, leads)
    assert probes.failovers(configured)["epoch"] == epoch


def test_a_sentinel_cut_off_from_its_peers_sees_no_quorum(lab: Cluster) -> None:
    configured = redis.configuration(lab)
    actions.isolate_node("sentinel", scope="peers", configuration=configured)
    assert wait_until(lambda: probes.sentinel_quorum(configured)["seeing_quorum"] == 2, 30, 0.1)
    assert probes.sentinel_quorum(configured)["quorum"]
    with pytest.raises(ActivityFailed, match="choose one of all, peers, clients"):
        actions.isolate_node(scope="some", configuration=configured)


def test_a_preview_says_from_whom_it_is_cut_off(lab: Cluster) -> None:
    given = {"role": "primary", "node_id": -1, "target": "lab", "timeout_s": 60, "scope": "peers"}
    (hit,) = preview.foresee("isolate_node", given, {}, way_of(redis.configuration(lab), {}), to_come=False)["hits"]
    cut = f"isolation of node {primary(lab)} (primary) from its peers"
    assert (hit["by"], hit["heal"]) == (f"{cut}, by the {lab.network} network of the lab", "the cut is lifted")
