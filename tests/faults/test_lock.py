"""One drill at a time."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import lock

HOLDER = """
import sys
from chaosdrills.faults import lock
lock.hold(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process(drill):
    argv = [sys.executable, "-c", HOLDER, drill]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_process_may_hold_it_twice_and_release_it_twice():
    lock.hold("first")
    lock.hold("second")
    lock.release()
    lock.release()


def test_a_second_process_is_refused_with_the_holders_name():
    with other_process("kafka-broker-loss") as process:
        with pytest.raises(UnavailableError) as raised:
            lock.hold("mine")
        assert raised.value.message == (
            f"another drill has faults outstanding on this machine: process {process.pid} (kafka-broker-loss); "
            "nothing was injected."
        )
        assert raised.value.hint == "wait until it has ended, or end it and run 'chaos drills heal'."


def test_a_holder_without_a_drill_is_named_by_its_pid():
    with other_process("") as process, pytest.raises(UnavailableError, match=f"process {process.pid}; nothing"):
        lock.hold("mine")


def test_the_death_of_its_holder_releases_it():
    with other_process("killed"):
        pass
    lock.hold("mine")
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([sys.executable, "-c", HOLDER, "x"], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def test_releasing_gives_it_to_the_next():
    lock.hold("mine")
    lock.release()
    with other_process("next"):
        pass


def test_a_lock_that_cannot_be_made_says_so(state):
    (state / "faults.lock").mkdir(parents=True)
    with pytest.raises(UnavailableError, match=r"cannot take the lock .*Is a directory; nothing was injected"):
        lock.hold("mine")


def test_who_holds_it_is_told_without_taking_it():
    assert lock.held_by() == ""
    with other_process("kafka-broker-loss") as process:
        assert lock.held_by() == f"process {process.pid} (kafka-broker-loss)"
    assert lock.held_by() == "", "its holder was killed, and what it wrote is still in the file"
    lock.hold("mine")
    assert lock.held_by() == f"process {os.getpid()} (mine)"
    lock.release()
    assert lock.held_by() == ""


def test_in_a_block_that_keeps_it_nothing_releases_it():
    with lock.kept("mine"):
        lock.release()
        assert lock.held_by()
    assert lock.held_by()
    lock.release()
    assert lock.held_by() == ""


def test_a_block_does_not_end_what_was_kept_before():
    lock.hold("drill", keep=True)
    with lock.kept("mine"):
        pass
    lock.release()
    assert lock.held_by() == f"process {os.getpid()} (drill)"
    lock.release(kept=True)
    assert lock.held_by() == ""
