"""Holding: asked for in the environment, ended by a go, by Enter, by time, or by an abort."""

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.observe.hold import Hold, hold_of

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("environment", [{}, {"CHAOSDRILLS_HOLD": ""}, {"CHAOSDRILLS_HOLD": "0"}])
def test_nobody_holds_who_does_not_ask(environment: dict[str, str]) -> None:
    assert hold_of(environment) is None


def test_an_hour_unless_it_is_said() -> None:
    held, shorter = (
        hold_of({"CHAOSDRILLS_HOLD": "1", **more}) for more in ({}, {"CHAOSDRILLS_HOLD_TIMEOUT_S": "90.5"})
    )
    assert held is not None
    assert shorter is not None
    assert (held.timeout_s, shorter.timeout_s, held.state) == (3600.0, 90.5, "ahead")


def test_what_a_drill_runs_itself_does_not_hold() -> None:
    environment = {"CHAOSDRILLS_HOLD": "1", "CHAOSDRILLS_HOLD_TIMEOUT_S": "90.5", "HOME": "/"}
    assert hold_of(environment) is not None
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"CHAOSDRILLS_HOLD": "yes"}, "CHAOSDRILLS_HOLD is 'yes'"),
        ({"CHAOSDRILLS_HOLD": "1", "CHAOSDRILLS_HOLD_TIMEOUT_S": "soon"}, "CHAOSDRILLS_HOLD_TIMEOUT_S is 'soon'"),
        ({"CHAOSDRILLS_HOLD": "1", "CHAOSDRILLS_HOLD_TIMEOUT_S": "0"}, "CHAOSDRILLS_HOLD_TIMEOUT_S is '0'"),
        ({"CHAOSDRILLS_HOLD": "1", "CHAOSDRILLS_HOLD_TIMEOUT_S": "nan"}, "CHAOSDRILLS_HOLD_TIMEOUT_S is 'nan'"),
    ],
)
def test_wishes_that_cannot_be(environment: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        hold_of(environment)


def test_go_counts_only_while_it_is_held() -> None:
    hold, looks = Hold(60), threading.Event()
    assert not hold.go()
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(hold.wait(looks.set)))
    thread.start()
    assert looks.wait(20)
    assert hold.held
    assert hold.go()
    assert not hold.go()
    thread.join(20)
    assert (ended, hold.state) == ([True], "open")


def test_nobody_says_go() -> None:
    hold = Hold(0.01)
    assert not hold.wait(lambda: None)
    assert hold.state == "shut"
    assert not hold.go()


def test_an_abort_is_faster_than_a_go() -> None:
    hold = Hold(60)
    assert not hold.wait(hold.shut)
    assert not hold.go()
    opened = Hold(60)
    assert opened.wait(lambda: opened.go() and opened.shut())
    assert opened.state == "open", "what was let go is not held again"


def test_what_goes_wrong_while_it_is_held_is_raised() -> None:
    def died() -> None:
        raise UnavailableError("the observer died.")

    with pytest.raises(UnavailableError, match="the observer died"):
        Hold(60).wait(died)


HELD = """
from chaosdrills.observe.hold import Hold, at_terminal
assert at_terminal()
told = []
hold = Hold(60)
print("went on:", hold.wait(lambda: told or (told.append(1), print("held", flush=True))), flush=True)
"""


TYPED_BEFORE = """
import select, sys
from chaosdrills.observe.hold import Hold
print("held", flush=True)
select.select([sys.stdin], [], [])
print("went on:", Hold(0.5).wait(lambda: None), flush=True)
"""


@pytest.mark.parametrize(("program", "goes_on"), [(HELD, b"True"), (TYPED_BEFORE, b"False")])
def test_enter_at_its_own_terminal(program: str, goes_on: bytes) -> None:
    """What was typed before the drill is held, in the warm-up, is no "go"."""
    child, master = pty.fork()
    if child == 0:
        os.chdir(REPOSITORY)
        os.execv(sys.executable, [sys.executable, "-c", program])
    seen = b""
    try:
        while b"held" not in seen:
            seen += os.read(master, 1024)
        os.write(master, b"\n")
        while b"went on" not in seen or not seen.endswith(b"\n"):
            seen += os.read(master, 1024)
        assert b"went on: " + goes_on in seen
    finally:
        os.close(master)
        os.waitpid(child, 0)


def test_without_a_terminal_standard_input_is_left_alone() -> None:
    code = "from chaosdrills.observe.hold import Hold; print(Hold(0.5).wait(lambda: None), input())"
    done = subprocess.run([sys.executable, "-c", code], input="kept\n", capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False kept\n", "")
