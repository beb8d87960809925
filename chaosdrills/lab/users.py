"""Who uses a lab that somebody else has started: it is not ended under a drill, whatever phase that is in.

Each is an empty file, and one whose process is dead is nobody's; all go when the lab ends::

    $XDG_STATE_HOME/chaosdrills/lab/<service>/users/<pid>-<start_ticks>
"""

import re
from pathlib import Path

from chaosdrills.host.nodes import cluster_dir
from chaosdrills.host.processes import Identity, is_alive

NAME = re.compile(r"(\d+)-(\d+)")


def join(service: str, user: Identity) -> None:
    """Write down that `user` uses the lab of `service` until it ends."""
    folder = _folder(service)
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / f"{user.pid}-{user.start_ticks}").touch()


def living(service: str) -> list[Identity]:
    """All that use the lab of `service` now."""
    folder = _folder(service)
    names = [NAME.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    users = [Identity(int(name[1]), int(name[2])) for name in names if name]
    return sorted((user for user in users if is_alive(user)), key=lambda user: user.pid)


def _folder(service: str) -> Path:
    return cluster_dir(service) / "users"
