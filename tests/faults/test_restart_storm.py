"""Restart storm: kills and starts of one node in a row."""

from collections.abc import Iterator

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_target
from chaosdrills.faults.restart_storm import RestartStorm, storming
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import Identity, is_alive
from tests.faults import toy
from tests.faults.conformance import FaultConformance


@pytest.fixture
def fault() -> RestartStorm:
    return RestartStorm()


@pytest.fixture
def target(cluster: Cluster) -> Target:
    return storming(node_target(cluster, 2, "server 2", "id"), 3, 0.2)


class TestRestartStorm(FaultConformance):
    @pytest.fixture
    def served(self, cluster: Cluster):
        return lambda: toy.answers(cluster.node(2).endpoint)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Identity]]:
    """The processes that were killed, in order."""
    seen: list[Identity] = []
    kill = Kill.inject

    def noted(self: Kill, target: Target) -> None:
        seen.append(Identity(target.handle["pid"], target.handle["start_ticks"]))
        kill(self, target)

    monkeypatch.setattr(Kill, "inject", noted)
    return seen


def test_it_is_killed_so_many_times_and_started_between(
    fault: RestartStorm, target: Target, cluster: Cluster, killed: list[Identity]
) -> None:
    assert fault.describe(target) == "restart storm of server 2: kill -9 3 times, every 0.2 s"
    others = [cluster.node(node_id).process for node_id in (1, 3)]
    fault.inject(target)
    assert len(set(killed)) == 3
    assert killed[0] == cluster.node(2).process
    assert not any(map(is_alive, killed))
    assert [toy.now().node(node_id).process for node_id in (1, 3)] == others
    assert not toy.now().node(2).alive


def test_once_is_a_kill(fault: RestartStorm, target: Target, killed: list[Identity]) -> None:
    fault.inject(storming(target, 1, 60))
    assert len(killed) == 1


def test_a_node_that_ends_by_itself_meanwhile_is_told(
    fault: RestartStorm, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaosdrills.faults.restart_storm.start_node", lambda service, node_id: True)
    with pytest.raises(UnavailableError, match="server 2 ended by itself after it was started again"):
        fault.inject(target)
    assert fault.needs_heal(target)
