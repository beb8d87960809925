"""Crash loop: a node that ends at once however often it is started, until it is healed."""

from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.crash_loop import ASIDE, CrashLoop
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import node_target
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, start_node
from chaosdrills.host.processes import reap, stop, wait_until
from tests.faults import toy
from tests.faults.conformance import FaultConformance
from tests.faults.injector import die_in_mid_fault

SERVER = """
import http.server, sys
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture
def fault() -> CrashLoop:
    return CrashLoop()


@pytest.fixture
def settings(cluster: Cluster) -> Path:
    """What server 2 is started with: a file in the lab's folder, which says what to do."""
    path = nodes.cluster_dir(toy.SERVICE) / "node-2.py"
    path.write_text(SERVER)
    node = cluster.node(2)
    assert node.process is not None
    stop([node.process])
    node.argv = [node.argv[0], str(path), node.endpoint.rpartition(":")[2]]
    nodes.save(cluster)
    assert start_node(toy.SERVICE, 2)
    cluster.nodes[:] = toy.now().nodes
    assert wait_until(lambda: toy.answers(cluster.node(2).endpoint), 20)
    return path


@pytest.fixture
def target(cluster: Cluster, settings: Path) -> Target:
    return node_target(cluster, 2, "server 2", "id")


class TestCrashLoop(FaultConformance):
    @pytest.fixture
    def served(self, cluster: Cluster):
        return lambda: toy.answers(cluster.node(2).endpoint)


def ended() -> bool:
    reap()
    return not toy.now().node(2).alive


def test_no_start_brings_it_back_until_it_is_healed(fault: CrashLoop, target: Target, settings: Path) -> None:
    assert fault.describe(target) == "crash loop of server 2"
    fault.inject(target)
    for _ in range(3):
        assert start_node(toy.SERVICE, 2)
        assert wait_until(ended, 20)
        assert fault.needs_heal(target)
    assert "node-2.py" in Path(toy.now().node(2).log).read_text(), "it says itself what it lacks"
    assert fault.heal(target)
    fault.wait_healed(target, 60)
    assert settings.read_text() == SERVER
    assert not settings.with_name(settings.name + ASIDE).exists()


def test_a_start_in_vain_that_still_runs_is_no_heal(fault: CrashLoop, target: Target, settings: Path) -> None:
    """A self-healer has started it just before the settings come back: it runs, and ends all the same."""
    fault.inject(target)
    assert start_node(toy.SERVICE, 2)
    assert fault.heal(target)
    fault.wait_healed(target, 60)
    assert wait_until(lambda: toy.answers(toy.now().node(2).endpoint), 20)


def test_settings_that_were_written_anew_meanwhile_are_the_ones_to_come_back(
    fault: CrashLoop, target: Target, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = CrashLoop.__mro__[1].inject

    def rewriting(self: CrashLoop, target: Target) -> None:
        settings.write_text(SERVER + "# anew")
        kill(self, target)

    monkeypatch.setattr(CrashLoop.__mro__[1], "inject", rewriting)
    fault.inject(target)
    assert not settings.exists()
    assert fault.heal(target)
    fault.wait_healed(target, 60)
    assert settings.read_text() == SERVER + "# anew"


def test_one_that_died_before_its_kill_is_healed_too(fault: CrashLoop, target: Target, settings: Path) -> None:
    settings.rename(settings.with_name(settings.name + ASIDE))
    assert fault.needs_heal(target), "it runs, and could not be started again"
    assert fault.heal(target)
    assert settings.exists()
    assert toy.answers(toy.now().node(2).endpoint)
    assert not fault.needs_heal(target)


def test_a_node_without_settings_of_its_own_is_no_target(fault: CrashLoop, cluster: Cluster) -> None:
    target = node_target(cluster, 1, "server 1", "id")
    for attempt in (fault.check, fault.inject):
        with pytest.raises(UnavailableError, match=r"server 1 is started with no settings .*: nothing was hit"):
            attempt(target)
    assert toy.answers(cluster.node(1).endpoint)


def test_settings_that_are_a_link_or_lie_elsewhere_are_left_alone(
    fault: CrashLoop, target: Target, settings: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "somebody's"
    settings.rename(elsewhere)
    settings.symlink_to(elsewhere)
    with pytest.raises(UnavailableError, match="nothing was hit"):
        fault.inject(target)
    cluster = toy.now()
    cluster.node(2).argv[1] = str(elsewhere)
    nodes.save(cluster)
    with pytest.raises(UnavailableError, match="nothing was hit"):
        fault.inject(target)
    assert toy.answers(cluster.node(2).endpoint)
    assert elsewhere.read_text() == SERVER


def test_a_lab_that_is_gone_needs_no_heal(fault: CrashLoop, target: Target, settings: Path) -> None:
    die_in_mid_fault(fault.name, target)
    nodes.forget(toy.SERVICE)
    assert not fault.needs_heal(target)
    assert not fault.heal(target)
