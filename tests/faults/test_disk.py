"""The fault `lose_disk`, on real processes and folders."""

import os
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.disk import LoseDisk
from chaosdrills.faults.fault import Target
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.node import node_target
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import is_alive
from tests.faults import toy
from tests.faults.conformance import FaultConformance
from tests.faults.injector import die_in_mid_fault


@pytest.fixture
def fault() -> LoseDisk:
    return LoseDisk()


@pytest.fixture
def data(cluster: Cluster) -> Path:
    """The data of server 2, in the lab's folder as a lab has them."""
    for node in cluster.nodes:
        folder = nodes.cluster_dir(toy.SERVICE) / f"node-{node.id}"
        folder.mkdir()
        (folder / "rows").write_text("all that we have")
        node.data_dir = str(folder)
    nodes.save(cluster)
    return Path(cluster.node(2).data_dir)


@pytest.fixture
def target(cluster: Cluster, data: Path) -> Target:
    return node_target(cluster, 2, "server 2", "id")


class TestLoseDisk(FaultConformance):
    @pytest.fixture
    def served(self, cluster: Cluster):
        return lambda: toy.answers(cluster.node(2).endpoint)


def folders() -> set[str]:
    return {path.name for path in nodes.cluster_dir(toy.SERVICE).iterdir() if path.is_dir()}


def test_only_its_targets_data_are_gone(fault: LoseDisk, target: Target, cluster: Cluster) -> None:
    assert fault.describe(target) == "kill -9 and loss of the disk of server 2"
    fault.inject(target)
    assert [node.alive for node in cluster.nodes] == [True, False, True]
    assert folders() == {"node-1", "node-3"}
    assert (Path(cluster.node(3).data_dir) / "rows").read_text() == "all that we have"
    assert fault.heal(target)
    assert folders() == {"node-1", "node-3"}, "the node makes its data anew, not the heal"


def test_what_its_data_only_point_to_is_left_alone(fault: LoseDisk, target: Target, data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "a tablespace"
    elsewhere.mkdir()
    (elsewhere / "rows").touch()
    (data / "pg_tblspc").symlink_to(elsewhere)
    fault.inject(target)
    assert not data.exists()
    assert [path.name for path in elsewhere.iterdir()] == ["rows"]


def linked(cluster: Cluster, data: Path, outside: Path) -> None:
    data.rename(outside)
    data.symlink_to(outside)


def elsewhere(cluster: Cluster, data: Path, outside: Path) -> None:
    data.rename(outside)
    write_down(cluster, outside)


def deeper(cluster: Cluster, data: Path, outside: Path) -> None:
    write_down(cluster, data / ".." / ".." / outside.name)
    data.rename(outside)


def the_folder_above(cluster: Cluster, data: Path, outside: Path) -> None:
    write_down(cluster, data / "..")
    data.rename(outside)


def a_file(cluster: Cluster, data: Path, outside: Path) -> None:
    data.rename(outside)
    data.touch()


def gone(cluster: Cluster, data: Path, outside: Path) -> None:
    data.rename(outside)


def write_down(cluster: Cluster, folder: Path) -> None:
    cluster.node(2).data_dir = str(folder)
    nodes.save(cluster)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (linked, "are no folder"),
        (elsewhere, "do not lie in the lab's folder"),
        (deeper, "do not lie in the lab's folder"),
        (the_folder_above, "do not lie in the lab's folder"),
        (a_file, "are no folder"),
        (gone, "are not there"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_not_surely_the_labs_own_is_not_touched(
    fault: LoseDisk, target: Target, cluster: Cluster, data: Path, tmp_path: Path, change, why: str
) -> None:
    outside = tmp_path / "somebody's"
    change(cluster, data, outside)
    for attempt in (fault.check, fault.inject):
        with pytest.raises(UnavailableError, match=rf"the data of server 2 {why}.* nothing was hit") as raised:
            attempt(target)
        assert raised.value.hint.startswith("run 'chaos drills lab down toy'")
    assert all(node.alive for node in cluster.nodes), "refused before anything was killed"
    assert (outside / "rows").read_text() == "all that we have"


def test_somebody_elses_folder_is_not_touched(
    fault: LoseDisk, target: Target, cluster: Cluster, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(UnavailableError, match="are somebody else's"):
        fault.inject(target)
    assert is_alive(cluster.node(2).process)
    assert (data / "rows").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: no node has a user of its own then")
def test_the_data_of_a_node_that_is_its_own_user_are_the_labs(
    fault: LoseDisk, target: Target, cluster: Cluster, data: Path
) -> None:
    os.chown(data, 60_902, 60_902)
    with pytest.raises(UnavailableError, match="are somebody else's"):
        fault.check(target)
    cluster.node(2).uid = 60_902
    nodes.save(cluster)
    fault.inject(target)
    assert not data.exists()


def test_data_that_cannot_be_removed_are_told(
    fault: LoseDisk, target: Target, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data.parent / "node-2.gone").symlink_to(data.parent / "node-1")
    with pytest.raises(UnavailableError, match=r"server 2 was killed, but its data could not be removed: .*") as raised:
        fault.inject(target)
    assert raised.value.hint.startswith("run 'chaos drills heal'")
    assert (data / "rows").exists()
    assert (data.parent / "node-1" / "rows").exists()
    assert fault.needs_heal(target)


def test_what_a_killed_injector_has_left_is_removed_by_the_heal(fault: LoseDisk, target: Target, data: Path) -> None:
    die_in_mid_fault(fault.name, target)
    left = data.with_name("node-2.gone")
    left.mkdir()
    (left / "rows").touch()
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed"]
    assert folders() == {"node-1", "node-3"}


def test_a_lab_that_is_gone_is_no_target_and_needs_no_heal(fault: LoseDisk, target: Target, data: Path) -> None:
    nodes.forget(toy.SERVICE)
    with pytest.raises(UnavailableError, match="is of a lab that is gone: nothing was hit"):
        fault.inject(target)
    assert (data / "rows").exists()
    assert not fault.needs_heal(target)
    assert not fault.heal(target)
