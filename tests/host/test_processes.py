"""Starting, identifying and ending real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import (
    Identity,
    family_of,
    identify,
    is_alive,
    is_paused,
    send_signal,
    spawn,
    stop,
    this_process,
    thread_states,
    wait_gone,
    wait_until,
)

WAIT = "import signal; print('ready', flush=True); signal.pause()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}"


def start(folder: Path, program: str = WAIT, env: dict[str, str] | None = None) -> Identity:
    """A Python process that runs `program` and has said that it is ready."""
    log = folder / "log"
    identity = spawn([sys.executable, "-c", program], log, folder, env)
    assert wait_until(lambda: "ready" in log.read_text(), 10), log.read_text()
    return identity


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_is_known_by_pid_and_start_time(tmp_path: Path) -> None:
    identity = start(tmp_path)
    try:
        assert identify(identity.pid) == identity
        assert is_alive(identity)
        assert not is_alive(Identity(identity.pid, identity.start_ticks - 1))
    finally:
        stop([identity], 0)
    assert not is_alive(identity)


def test_it_runs_in_a_session_of_its_own_without_standard_input(tmp_path: Path) -> None:
    identity = start(tmp_path)
    try:
        assert os.getsid(identity.pid) == identity.pid
        assert os.readlink(f"/proc/{identity.pid}/fd/0") == "/dev/null"
    finally:
        stop([identity], 0)


def test_its_environment_is_the_one_given(tmp_path: Path) -> None:
    identity = start(tmp_path, "import os; print('ready', sorted(os.environ)); " + WAIT, {"LC_ALL": "C.UTF-8"})
    stop([identity], 0)
    assert "ready ['LC_ALL']" in (tmp_path / "log").read_text()


def test_a_signal_never_reaches_another_process_with_the_same_pid(tmp_path: Path) -> None:
    identity = start(tmp_path)
    try:
        assert not send_signal(Identity(identity.pid, identity.start_ticks - 1), signal.SIGKILL)
        assert is_alive(identity)
        assert send_signal(identity, signal.SIGKILL)
        assert wait_gone([identity], 10) == []
        assert not send_signal(identity, signal.SIGKILL)
    finally:
        stop([identity], 0)


def test_a_zombie_is_not_alive(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        assert wait_until(lambda: state_of(child) == "Z", 10), f"process {child} is no zombie"
        assert identify(child) is None
    finally:
        os.waitpid(child, 0)


def test_a_process_whose_first_thread_has_ended_is_alive_until_the_last_has(tmp_path: Path) -> None:
    leave = "import ctypes; ctypes.CDLL(None).pthread_exit(None)"
    program = (
        "import threading\n"
        "def stay():\n    print('ready', flush=True)\n    threading.Event().wait()\n"
        f"threading.Thread(target=stay).start()\n{leave}\n"
    )
    identity = start(tmp_path, program)
    try:
        assert wait_until(lambda: state_of(identity.pid) == "Z", 10), "the first thread goes on"
        assert is_alive(identity)
    finally:
        stop([identity], 0)
    assert not is_alive(identity)


def test_stop_ends_the_deaf_and_the_paused(tmp_path: Path) -> None:
    for name in ("deaf", "paused"):
        (tmp_path / name).mkdir()
    deaf, paused = start(tmp_path / "deaf", DEAF), start(tmp_path / "paused")
    send_signal(paused, signal.SIGSTOP)
    assert wait_until(lambda: state_of(paused.pid) == "T", 10), "the process was not paused"
    assert is_alive(paused)
    stop([deaf, paused], grace_s=0.2)
    assert not is_alive(deaf)
    assert not is_alive(paused)


def test_a_missing_program_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot start /nowhere/java: No such file") as caught:
        spawn(["/nowhere/java"], tmp_path / "log", tmp_path)
    assert caught.value.hint


def test_a_wait_is_bounded_and_says_whether_the_condition_held() -> None:
    assert wait_until(lambda: True, 0)
    assert not wait_until(lambda: False, 0.05, 0.01)


def test_this_process_is_alive() -> None:
    assert this_process().pid == os.getpid()
    assert is_alive(this_process())


def test_a_process_is_paused_when_all_its_threads_stand_still() -> None:
    code = "import threading, time; threading.Thread(target=time.sleep, args=(300,)).start(); print(flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            identity = identify(process.pid)
            assert identity is not None
            assert not is_paused(identity)
            send_signal(identity, signal.SIGSTOP)
            assert wait_until(lambda: is_paused(identity), 10)
            assert thread_states(identity) == {"T"}
            send_signal(identity, signal.SIGCONT)
            assert wait_until(lambda: "T" not in thread_states(identity), 10)
            assert not is_paused(Identity(process.pid, identity.start_ticks + 1))
        finally:
            process.kill()
    assert thread_states(identity) == set()


def test_a_family_is_told_while_its_members_come_and_go() -> None:
    """What vanishes while it is looked at is no member, and no error."""
    busy = "for i in $(seq 400); do (exec 3</dev/null; true) & (true) & done; wait"
    process = subprocess.Popen(["bash", "-c", busy])
    root = identify(process.pid)
    assert root is not None
    largest = 0
    while process.poll() is None:
        largest = max(largest, len(family_of([root])))
    assert process.wait(20) == 0
    assert largest > 1
    assert family_of([]) == set()
