"""lab.json: what is written is read, what cannot be read is said, and single nodes are started from it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import Identity, is_alive, spawn, stop, this_process, wait_until

NOBODY = Identity(2**22 + 1, 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a lab for the service "toy"."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return nodes.cluster_dir("toy")


def toy(folder: Path, process: Identity | None = None) -> Cluster:
    """One node that waits for ever."""
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    node = Node(
        1, "127.0.0.1:1", argv, {"LC_ALL": "C"}, str(folder), str(folder / "log"), str(folder / "data"), process
    )
    return Cluster("toy", "127.0.0.1:1", [node], this_process(), {"base_port": 1, "settings": {"a": "b"}}, NOBODY)


@pytest.fixture
def stopped(folder: Path) -> Iterator[Cluster]:
    """A written-down cluster whose node is dead; what a test starts is ended."""
    nodes.save(toy(folder, NOBODY))
    yield toy(folder, NOBODY)
    cluster = nodes.load("toy")
    assert cluster is not None
    stop([node.process for node in cluster.nodes if node.process], 0)


def test_what_is_saved_is_loaded(folder: Path) -> None:
    assert nodes.load("toy") is None
    nodes.save(toy(folder, this_process()))
    assert nodes.load("toy") == toy(folder, this_process())
    nodes.forget("toy")
    nodes.forget("toy")
    assert nodes.load("toy") is None


def test_alive_is_about_exactly_that_process(folder: Path) -> None:
    me = this_process()
    assert toy(folder, me).nodes[0].alive
    assert not toy(folder, Identity(me.pid, me.start_ticks + 1)).nodes[0].alive
    assert not toy(folder, None).nodes[0].alive


@pytest.mark.parametrize(("text", "why"), [("{", "damaged"), ('{"version": 2}', "version 2")])
def test_a_state_that_cannot_be_read_is_an_error_with_a_hint(folder: Path, text: str, why: str) -> None:
    (folder / "lab.json").write_text(text)
    with pytest.raises(UnavailableError, match=why) as caught:
        nodes.load("toy")
    assert caught.value.hint


def test_a_node_is_started_once_and_written_down(stopped: Cluster) -> None:
    assert nodes.start_node("toy", 1)
    started = nodes.load("toy")
    assert started is not None
    assert started.nodes[0].alive
    assert not nodes.start_node("toy", 1)
    assert nodes.load("toy") == started


def test_a_start_without_a_lab_or_of_an_unknown_node_says_so(stopped: Cluster) -> None:
    with pytest.raises(UnavailableError, match=r"no node 7\.") as caught:
        nodes.start_node("toy", 7)
    assert caught.value.hint == "choose one of 1."
    with pytest.raises(UnavailableError, match="there is no other lab"):
        nodes.start_node("other", 1)


def test_an_up_waits_for_another_but_not_for_ever(folder: Path) -> None:
    with (
        nodes.exclusive("toy", 1),
        pytest.raises(UnavailableError, match=r"starting or ending the toy lab for 0\.1 s"),
        nodes.exclusive("toy", 0.1),
    ):
        raise AssertionError("both hold the lock")
    with nodes.exclusive("toy", 0.1):
        pass


def test_a_change_waits_for_another_but_not_for_ever(folder: Path) -> None:
    with (
        nodes.changing("toy"),
        pytest.raises(UnavailableError, match=r"changing the toy lab for 0\.1 s") as caught,
        nodes.changing("toy", 0.1),
    ):
        raise AssertionError("both hold the lock")
    assert str(folder / "lock") in caught.value.hint
    with nodes.changing("toy", 0.1):
        pass


def test_the_file_is_what_its_documentation_says(folder: Path) -> None:
    nodes.save(toy(folder))
    data = json.loads((folder / "lab.json").read_text())
    assert sorted(data) == ["endpoint", "guard", "network", "nodes", "options", "owner", "proxy", "service", "version"]
    assert data["version"] == 1
    assert data["owner"] == {"pid": this_process().pid, "start_ticks": this_process().start_ticks}
    assert data["nodes"][0]["process"] is None


def test_that_a_node_was_told_to_end_is_written_down_until_it_is_started(stopped: Cluster) -> None:
    nodes.start_node("toy", 1)
    running = nodes.load("toy")
    assert running is not None
    assert running.nodes[0].process is not None
    assert not running.nodes[0].stopping
    nodes.note_stopping("toy", NOBODY)
    assert nodes.load("toy") == running
    nodes.note_stopping("toy", running.nodes[0].process)
    told = nodes.load("toy")
    assert told is not None
    assert told.nodes[0].stopping
    stop([running.nodes[0].process], 0)
    nodes.start_node("toy", 1)
    again = nodes.load("toy")
    assert again is not None
    assert not again.nodes[0].stopping


def test_a_node_that_cannot_be_written_down_is_ended_again(
    stopped: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk: else nobody would know of it, and it would hold the node's ports."""
    seen: list[Identity] = []

    def full_disk(cluster: Cluster) -> None:
        seen.extend(node.process for node in cluster.nodes if node.process)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(nodes, "save", full_disk)
        with pytest.raises(OSError, match="No space left"):
            nodes.start_node("toy", 1)
    assert [is_alive(process) for process in seen] == [False]


@pytest.mark.parametrize("prefix", [[], ["/usr/bin/env", "-u", "NOTHING"]])
def test_a_node_that_a_killed_process_has_started_is_found_again(stopped: Cluster, prefix: list[str]) -> None:
    """kill -9 between a start and its being written down: a second one would find the node's ports taken."""
    node, other = stopped.nodes[0], ["-c", "import signal; signal.pause()"]
    node.argv = [*prefix, sys.executable, *other]
    nodes.save(stopped)
    strangers = [
        spawn([sys.executable, *other], Path(node.log), Path("/"), {}),
        spawn([sys.executable, *other, "more"], Path(node.log), Path(node.cwd), {}),
    ]
    unwritten = spawn(node.argv, Path(node.log), Path(node.cwd), node.env)
    begun = sys.executable.encode()
    try:
        assert wait_until(lambda: Path(f"/proc/{unwritten.pid}/cmdline").read_bytes().startswith(begun), 10)
        assert nodes.start_node("toy", 1)
        found = nodes.load("toy")
        assert found is not None
        assert found.nodes[0].process == unwritten
        assert not nodes.start_node("toy", 1)
    finally:
        stop([unwritten, *strangers], 0)
