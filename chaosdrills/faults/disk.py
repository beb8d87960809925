"""Lose disk: SIGKILL to one node of a lab, as `kill` has it, and its data are gone. Its heal starts the node again.

The node finds no data then, and makes them anew from what its cluster still has: that is its service's business. What
only this node had is lost for ever.

Nothing is removed but the folder that the lab has written down as the node's data, and only if it is a real folder,
ours or the node's own user's, that lies in the lab's own folder: no path is taken from a heal log, and no symbolic link
is followed. It is renamed first, so that it is gone at once and wholly, however long its removal takes.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_of
from chaosdrills.host import shared_memory
from chaosdrills.host.nodes import Node, cluster_dir

GONE = ".gone"


class LoseDisk(Kill):
    """The fault `lose_disk`; see `chaosdrills.faults.fault.Fault`."""

    name = "lose_disk"

    def describe(self, target: Target) -> str:
        """ "kill -9 and loss of the disk of" and the target's label."""
        return f"kill -9 and loss of the disk of {target.label}"

    def check(self, target: Target) -> None:
        """Raise `UnavailableError` unless exactly these processes live, and their data are the lab's to remove."""
        super().check(target)
        with _folder_of(target) as (parent, name):
            _require_ours(target, parent, name)

    def inject(self, target: Target) -> None:
        """Kill as `kill` does, and remove the node's data.

        Raises `UnavailableError` if it was not running, outlives SIGKILL, or if its data cannot be removed.
        """
        self.check(target)
        super().inject(target)
        with _folder_of(target) as (parent, name):
            _remove(target, parent, name)

    def heal(self, target: Target) -> bool:
        """Start the node again, and remove what was left of its lost data. Raises `UnavailableError` if it cannot."""
        if not self.needs_heal(target):
            return False
        with suppress(UnavailableError), _folder_of(target) as (parent, name):  # what was refused needs its node, too
            shutil.rmtree(name + GONE, ignore_errors=True, dir_fd=parent)
        return super().heal(target)


@contextmanager
def _folder_of(target: Target) -> Iterator[tuple[int, str]]:
    """The lab's folder, open, and the name of the node's data in it. Raises `UnavailableError` if they are not."""
    node, folder = node_of(target), cluster_dir(target.service)
    if node is None:
        raise UnavailableError(
            f"{target.label} is of a lab that is gone: nothing was hit.", "look at 'chaos drills lab status'."
        )
    if not _is_in(node, folder):
        raise UnavailableError(
            f"the data of {target.label} do not lie in the lab's folder, so they are not touched: nothing was hit.",
            f"run 'chaos drills lab down {target.service}', and start the lab again.",
        )
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield parent, Path(node.data_dir).name
    finally:
        os.close(parent)


def _is_in(node: Node, folder: Path) -> bool:
    """Whether a node's data are a folder right in `folder`, as it is written down."""
    data = Path(node.data_dir)
    return data.parent == folder and data.name not in ("", ".", "..")


def _require_ours(target: Target, parent: int, name: str) -> None:
    """Raise `UnavailableError` unless `name` is a folder, ours or the node's own, on the disk of the lab's folder."""
    why, node = "are not there", node_of(target)
    owners = {os.geteuid(), node.uid if node else None}
    with suppress(OSError):
        data, home = os.stat(name, dir_fd=parent, follow_symlinks=False), os.fstat(parent)
        why = "" if stat.S_ISDIR(data.st_mode) else "are no folder"
        if not why and (data.st_uid not in owners or data.st_dev != home.st_dev):
            why = "are somebody else's, or on a disk of their own"
    if why:
        raise UnavailableError(
            f"the data of {target.label} {why}, so they are not touched: nothing was hit.",
            f"run 'chaos drills lab down {target.service}', and start the lab again.",
        )


def _remove(target: Target, parent: int, name: str) -> None:
    """Have the data gone, whole and at once. Raises `UnavailableError` if they are still there."""
    try:
        _require_ours(target, parent, name)
        shutil.rmtree(name + GONE, ignore_errors=True, dir_fd=parent)
        shared_memory.remove_left(cluster_dir(target.service) / name)
        os.rename(name, name + GONE, src_dir_fd=parent, dst_dir_fd=parent)
        shutil.rmtree(name + GONE, dir_fd=parent)
    except OSError as error:
        raise UnavailableError(
            f"{target.label} was killed, but its data could not be removed: {error.strerror}.",
            "run 'chaos drills heal', and look at the lab's folder.",
        ) from error
