"""Real labs that tests share: one stays up from file to file for as long as no file wants another one.

A lab that nobody asks for costs processor time all the same, an idle Kafka broker 2 % of a core, and every pytest-xdist
worker has labs of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle

T = TypeVar("T")


@contextmanager
def state_in(folder: Path) -> Iterator[None]:
    """XDG_STATE_HOME, by which a lab is found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield


@contextmanager
def lab_in(state: Path, service: str, options: dict[str, Any]) -> Iterator[Cluster]:
    """A lab of this process's, with its state in that folder."""
    with state_in(state):
        cluster = lifecycle.up(service, options, owner=this_process())
    try:
        yield cluster
    finally:
        with state_in(state):
            lifecycle.down(service)


class SharedLabs:
    """The labs that are up, by name, and how many hold each."""

    def __init__(self) -> None:
        self._up: dict[str, tuple[Any, ExitStack]] = {}
        self._holders: dict[str, int] = {}

    @contextmanager
    def held(self, name: str, start: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        """The lab `name`, which `start` starts if it is not up; those that nobody holds are ended before."""
        if name not in self._up:
            self.end_idle()
            stack = ExitStack()
            self._up[name] = stack.enter_context(start()), stack
        self._holders[name] = self._holders.get(name, 0) + 1
        try:
            yield self._up[name][0]
        finally:
            self._holders[name] -= 1

    def end_idle(self) -> None:
        """End those that nobody holds."""
        for name in [name for name in self._up if not self._holders.get(name)]:
            self._up.pop(name)[1].close()
