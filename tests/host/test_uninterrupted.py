"""What an interruption must not cut in two: a process that is started, and its being written down."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import stop, uninterrupted


def test_an_interruption_waits_for_the_end_of_the_block() -> None:
    done = []

    def interrupted_twice() -> None:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_one_nothing_happens() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with uninterrupted():
        pass
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_in_the_block_is_raised_and_the_handlers_are_back() -> None:
    with pytest.raises(ValueError, match="planted"), uninterrupted():
        raise ValueError("planted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_need_no_shelter() -> None:
    seen = []

    def look() -> None:
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(10)
    assert seen == [signal.default_int_handler]


def test_a_child_does_not_inherit_it() -> None:
    look = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    with uninterrupted():
        child = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=30)
    assert child.stdout == "True\n"


def test_a_node_that_was_started_is_written_down_though_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    node = Node(1, "127.0.0.1:1", argv, dict(os.environ), str(tmp_path), str(tmp_path / "log"), str(tmp_path))
    nodes.save(Cluster("toy", node.endpoint, [node]))
    save = nodes.save

    def interrupted(cluster: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        save(cluster)

    monkeypatch.setattr(nodes, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        nodes.start_node("toy", 1)
    written = nodes.load("toy")
    assert written is not None
    started = written.nodes[0].process
    assert started is not None
    assert written.nodes[0].alive
    stop([started])
