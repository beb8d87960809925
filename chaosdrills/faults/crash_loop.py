"""Crash loop: SIGKILL to one node of a lab, as `kill` has it, and it ends at once however often it is started.

Its file of settings is put aside, so that the server says itself what it lacks. Its heal puts the file back and starts
the node. Whoever heals by himself meanwhile (`chaosdrills.lab.healer`) tries in vain: that is what the fault is for.

The file is the one of the lab's own folder that the node is started with, as the lab has written that down: no path is
taken from a heal log. A node that is started without one cannot be hit.
"""

import os
from contextlib import suppress
from pathlib import Path

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_of
from chaosdrills.host.nodes import Node, cluster_dir, start_node
from chaosdrills.host.processes import wait_until
from chaosdrills.host.sockets import accepts

ASIDE = ".aside"
VAIN_S = 5.0  # within which a start in vain has ended


class CrashLoop(Kill):
    """The fault `crash_loop`; see `chaosdrills.faults.fault.Fault`."""

    name = "crash_loop"
    besides = ", its settings put aside"
    mended = "given its settings back and started"

    def describe(self, target: Target) -> str:
        """ "crash loop of" and the target's label."""
        return f"crash loop of {target.label}"

    def check(self, target: Target) -> None:
        """Raise `UnavailableError` unless exactly this process lives, and was started with settings that are there."""
        super().check(target)
        _settings_of(target)

    def inject(self, target: Target) -> None:
        """Put the node's settings aside, so that no start of it succeeds any more, and kill it.

        Raises `UnavailableError` if it was not running, or outlives SIGKILL.
        """
        self.check(target)
        settings = _settings_of(target)
        os.replace(settings, _aside(settings))
        super().inject(target)
        with suppress(FileNotFoundError):  # a Redis writes them anew whenever it is told something
            os.replace(settings, _aside(settings))

    def needs_heal(self, target: Target) -> bool:
        """Whether the lab is still there, and this node of it lacks its settings or does not run."""
        node = node_of(target)
        return node is not None and (_lacking(target, node) is not None or not node.alive)

    def heal(self, target: Target) -> bool:
        """Put the settings back and start the node. Raises `UnavailableError` if it cannot be started.

        What runs at this moment may be a start in vain, by a self-healer: then it is started once that has ended.
        """
        node = node_of(target)
        settings = _lacking(target, node) if node else None
        if node is None or settings is None:
            return super().heal(target)
        os.replace(_aside(settings), settings)
        wait_until(lambda: start_node(target.service, node.id) or accepts(node.endpoint), VAIN_S)
        return True


def _settings_of(target: Target) -> Path:
    """The node's file of settings. Raises `UnavailableError` if there is none that could be put aside."""
    node = node_of(target)
    found = [path for path in _candidates(target, node) if path.is_file() and not path.is_symlink()] if node else []
    if not found:
        raise UnavailableError(
            f"{target.label} is started with no settings of the lab's that could be put aside: nothing was hit.",
            "run 'chaos drills heal', and look at 'chaos drills lab status'; or kill it instead.",
        )
    return found[0]


def _lacking(target: Target, node: Node) -> Path | None:
    """Where settings belong that were put aside; None if none were."""
    return next((path for path in _candidates(target, node) if _aside(path).is_file()), None)


def _candidates(target: Target, node: Node) -> list[Path]:
    """Paths among the lab's settings that the node is started with."""
    home = cluster_dir(target.service)
    paths = [Path(word) for word in node.argv[1:]]
    return [path for path in paths if path.parent in (home, home / "secrets")]


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ASIDE)
