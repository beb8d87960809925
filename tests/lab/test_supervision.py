"""Nothing of a lab is forgotten: not when its owner is killed, nor when nobody could write a process down."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host import nodes, packet_filter
from chaosdrills.host.processes import (
    Identity,
    identify,
    is_alive,
    send_signal,
    spawn,
    stop,
    this_process,
    wait_until,
)
from chaosdrills.lab import supervision
from tests.lab.toy import WAITING, toy_cluster

OWNER = (
    "import signal; from chaosdrills.host.processes import this_process; from chaosdrills.lab import supervision; "
    "from tests.lab.toy import toy_cluster; supervision.start(toy_cluster(), this_process()); "
    "print('up', flush=True); signal.pause()"
)


@pytest.fixture
def folder(own_state: Path) -> Path:
    """The folder of the toy lab."""
    return nodes.cluster_dir("toy")


@pytest.fixture
def owner(folder: Path) -> Iterator[Identity]:
    """Another process, which has started a toy lab that belongs to it."""
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    identity = identify(process.pid)
    assert identity is not None
    yield identity
    process.kill()
    process.wait()
    process.stdout.close()


def is_gone() -> bool:
    return not supervision.living("toy") and nodes.load("toy") is None


def test_what_is_started_is_written_down_and_ended(folder: Path) -> None:
    cluster = toy_cluster()
    supervision.start(cluster, this_process())
    assert nodes.load("toy") == cluster
    assert cluster.owner == this_process()
    assert {it.pid for it in supervision.living("toy")} == {
        it.pid for it in [cluster.guard, *(node.process for node in cluster.nodes)] if it is not None
    }
    assert supervision.end("toy")
    assert is_gone()
    assert not supervision.end("toy")


def test_data_goes_and_logs_stay(folder: Path) -> None:
    supervision.start(toy_cluster(), this_process())
    assert wait_until(lambda: "started" in (folder / "node-2.log").read_text(), 10), "the node has said nothing"
    supervision.end("toy")
    names = {path.name for path in folder.iterdir()}
    assert {"node-1.log", "node-2.log"} <= names
    assert not {"node-1", "node-2", "lab.json"} & names


def test_a_lab_ends_with_its_owner(owner: Identity) -> None:
    cluster = nodes.load("toy")
    assert cluster is not None
    assert cluster.owner == owner
    assert all(node.alive for node in cluster.nodes)
    os.kill(owner.pid, signal.SIGKILL)
    assert wait_until(is_gone, 10), f"left: {supervision.living('toy')}"


def test_a_lab_without_an_owner_outlives_who_started_it(folder: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", OWNER.replace("print(", "supervision.disown(nodes.load('toy')); print(")
         .replace("import signal;", "import signal; from chaosdrills.host import nodes;")
         .replace("signal.pause()", "")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert process.stdout == "up\n"
    cluster = nodes.load("toy")
    assert cluster is not None
    assert (cluster.owner, cluster.guard) == (None, None)
    assert all(node.alive for node in cluster.nodes)
    assert len(supervision.living("toy")) == len(cluster.nodes)
    supervision.end("toy")
    assert is_gone()


def test_a_guard_leaves_a_lab_that_has_another_owner_alone(folder: Path) -> None:
    supervision.start(toy_cluster(), this_process())
    assert not supervision.end_of_owner("toy", Identity(1, 1))
    assert nodes.load("toy") is not None
    assert supervision.end_of_owner("toy", this_process())
    assert is_gone()


def test_when_the_guard_is_killed_too_the_orphan_is_found(owner: Identity) -> None:
    cluster = nodes.load("toy")
    assert cluster is not None
    assert cluster.guard is not None
    assert supervision.end_orphans() == []
    stop([cluster.guard, owner], 0)
    assert wait_until(lambda: not is_alive(owner), 10), "the owner lives"
    assert len(supervision.living("toy")) == 2
    assert supervision.end_orphans() == ["toy"]
    assert is_gone()


def test_a_process_that_was_never_written_down_is_ended(folder: Path) -> None:
    stray = spawn([sys.executable, "-c", WAITING], folder / "stray.log", folder, supervision.marked("toy"))
    assert supervision.living("toy") == [stray]
    assert supervision.end("toy")
    assert not is_alive(stray)


def test_a_lab_whose_state_is_damaged_can_still_be_ended(folder: Path) -> None:
    cluster = toy_cluster()
    supervision.start(cluster, this_process())
    (folder / "lab.json").write_text("{")
    assert supervision.end("toy")
    assert is_gone()


def test_processes_of_another_lab_are_left_alone(folder: Path) -> None:
    mark = {supervision.MARKER: str(folder) + "-too"}
    other = spawn([sys.executable, "-c", WAITING], folder / "other.log", folder, mark)
    try:
        supervision.start(toy_cluster(), this_process())
        supervision.end("toy")
        assert is_alive(other)
    finally:
        stop([other], 0)


def test_a_dead_node_is_reported_with_what_its_log_says(folder: Path) -> None:
    program = "import sys; print('fine', flush=True); sys.exit('ERROR no such thing')"
    cluster = toy_cluster(1, program)
    supervision.start(cluster, this_process())
    with pytest.raises(UnavailableError) as caught:
        supervision.wait_ready(cluster, lambda _: "nothing", lambda line: "ERROR" in line, 20)
    assert caught.value.message.endswith("Its log says:\n    ERROR no such thing")
    assert str(folder / "node-1.log") in caught.value.hint
    supervision.end("toy")


def test_a_wait_that_is_too_long_says_what_it_waited_for(folder: Path) -> None:
    cluster = toy_cluster(1)
    supervision.start(cluster, this_process())
    with pytest.raises(UnavailableError, match=r"did not start in 0\.1 s; it waited for the moon\."):
        supervision.wait_ready(cluster, lambda _: "the moon", lambda _: False, 0.1)
    supervision.end("toy")


@pytest.mark.skipif(bool(packet_filter.why_not()), reason=f"NO PACKET FILTER HERE: {packet_filter.why_not()}")
def test_a_cut_is_mended_with_the_end_of_its_lab_though_its_state_is_damaged(folder: Path) -> None:
    cluster = toy_cluster()
    for node in cluster.nodes:
        node.uid, node.listeners = packet_filter.FIRST_UID + node.id, {"client": node.id}
    packet_filter.cut(cluster, 1, "all")
    packet_filter.cut(cluster, 2, "clients")
    assert packet_filter.cuts("toy") == [(1, "all"), (2, "clients")]
    assert packet_filter.cuts("other") == []
    (folder / "lab.json").write_text("{")
    assert supervision.end("toy")
    assert packet_filter.cuts("toy") == []


def titled(folder: Path, title: str) -> Identity:
    """A process of this title that works in `folder`, without the lab's mark, as an orphan of PostgreSQL is."""
    return spawn(["bash", "-c", f"exec -a '{title}' sleep 1000"], folder.parent / f"{title[:4]}.log", folder, {})


def test_frozen_orphans_of_a_server_are_ended_and_nothing_else_that_works_there(folder: Path, tmp_path: Path) -> None:
    data = folder / "node-1"
    data.mkdir()
    title = "postgres: walsender replicator"
    orphan, strangers = titled(data, title), [titled(data, "a shell"), titled(tmp_path, title)]
    try:
        assert wait_until(lambda: all(b"1000" in cmdline(it) for it in (orphan, *strangers)), 10)
        send_signal(orphan, signal.SIGSTOP)
        assert supervision.living("toy") == [orphan]
        assert supervision.end("toy")
        assert [is_alive(it) for it in (orphan, *strangers)] == [False, True, True]
    finally:
        stop([orphan, *strangers], 0)


def cmdline(process: Identity) -> bytes:
    return Path(f"/proc/{process.pid}/cmdline").read_bytes()
