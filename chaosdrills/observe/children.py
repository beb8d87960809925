"""Processes that activities have started, in our own process group.

Ctrl-C at a terminal reaches them by itself; an abort does not. Observer and lab are in sessions of their own.
"""

import os
from contextlib import suppress
from pathlib import Path

from chaosdrills.host.processes import Identity, identify


def descendants(pid: int | None = None) -> list[Identity]:
    """All that descend from process `pid` (None: this one) and share our process group, as far as /proc tells."""
    found: list[Identity] = []
    tasks = Path(f"/proc/{os.getpid() if pid is None else pid}/task")
    with suppress(OSError):  # it may vanish while it is looked at, and so may each of its threads
        for thread in os.listdir(tasks):
            with suppress(OSError):
                for child in map(int, (tasks / thread / "children").read_text().split()):
                    found += _family(child)
    return found


def _family(child: int) -> list[Identity]:
    """A child of our process group, after its own children; none if it has ended or is of another group."""
    with suppress(OSError):
        identity = identify(child)
        if identity is not None and os.getpgid(child) == os.getpgrp():
            return [*descendants(child), identity]
    return []
