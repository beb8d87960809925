"""A thread beside the load: it ends when it is told to, and stopping it is safe at any time."""

import threading

from chaosdrills.observe.beside import Beside


def test_it_runs_until_it_is_stopped() -> None:
    begun, ended = threading.Event(), threading.Event()

    def run() -> None:
        begun.set()
        while not beside.wait(60):
            pass
        ended.set()

    beside = Beside(run, "watch")
    beside.start()
    assert begun.wait(10)
    assert not beside.stopped()
    assert not ended.is_set()
    beside.stop()
    assert beside.stopped()
    assert ended.is_set(), "stop() has waited for it"
    beside.stop()


def test_one_that_was_never_started_can_be_stopped() -> None:
    beside = Beside(lambda: None, "watch")
    beside.stop()
    assert beside.stopped()
