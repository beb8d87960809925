"""Commands: bounded, their output kept, nothing of them left."""

import signal
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host.commands import run
from chaosdrills.host.processes import identify, send_signal, wait_until


def test_its_status_and_all_that_it_says(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    ended = run(["sh", "-c", "pwd; echo wrong >&2; exit 3"], log, tmp_path, 30)
    assert ended.status == 3
    assert log.read_text() == f"before\n{tmp_path}\nwrong\n"


def test_what_ended_by_a_signal(tmp_path: Path) -> None:
    assert run(["sh", "-c", "kill -9 $$"], tmp_path / "log", tmp_path, 30).status == -9


def test_what_does_not_end_in_time_is_ended_with_what_it_started_though_it_ignores_sigterm(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 300 & echo $!; wait; sleep 300"
    ended = run(["sh", "-c", script], tmp_path / "log", tmp_path, 0.5)
    assert ended.status is None
    assert ended.took_s >= 0.5
    child = int((tmp_path / "log").read_text())
    assert wait_until(lambda: identify(child) is None, 20)


def test_what_it_leaves_behind_on_purpose_goes_on(tmp_path: Path) -> None:
    """A heal may start a server."""
    assert run(["sh", "-c", "sleep 300 & echo $!"], tmp_path / "log", tmp_path, 30).status == 0
    server = identify(int((tmp_path / "log").read_text()))
    assert server is not None
    assert send_signal(server, signal.SIGKILL)


@pytest.mark.parametrize("argv", [["/nonexistent"], ["/etc/passwd"]])
def test_what_cannot_be_started(tmp_path: Path, argv: list[str]) -> None:
    with pytest.raises(UnavailableError, match=f"cannot start {argv[0]}: "):
        run(argv, tmp_path / "log", tmp_path, 30)
