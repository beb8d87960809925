"""A user of a node's own for PostgreSQL, by whose number its packets are known: for root, on a filtered lab.

``python -m chaosdrills.lab.own_user UID COMMAND...`` runs COMMAND as UID, which this machine has no name for. initdb
looks its user's name up, so this is done in a user namespace in which UID is called like a user that has one; all
others are there who they are outside, and COMMAND reads and writes what root may.

The kernel lets nobody name more than himself in a namespace but from outside of it (user_namespaces(7)): a child that
stays there writes the names down.
"""

import ctypes
import os
import pwd
import subprocess
import sys
from pathlib import Path

from chaosdrills.host.packet_filter import FIRST_UID, as_user

USERS = ("postgres", "daemon", "bin", "nobody")
HIGHEST = 65_535
CLONE_NEWUSER = 0x10000000
TRIAL_S = 20.0


def prefix(uid: int) -> list[str]:
    """What stands before a command so that it runs as `uid`."""
    return [sys.executable, "-P", "-m", "chaosdrills.lab.own_user", str(uid)]


def why_not() -> str:
    """Why a command cannot be run so here; empty if it can. Tries it."""
    trial = subprocess.run(
        [*prefix(FIRST_UID), "true"], capture_output=True, text=True, timeout=TRIAL_S, check=False
    )  # fmt: skip
    said = trial.stderr.strip().splitlines() or [f"it ends with {trial.returncode}"]
    return f"PostgreSQL cannot be run as user {FIRST_UID}: {said[-1]}" if trial.returncode else ""


def known_user() -> int:
    """A user of this machine that has a name and is not root."""
    users = {user.pw_name: user.pw_uid for user in pwd.getpwall() if user.pw_uid != 0}
    return next((users[name] for name in USERS if name in users), next(iter(users.values()), 1000))


def exchanged(low: int, high: int) -> str:
    """The lines of a map (``inside outside count``) in which these two have changed names, and all others keep them."""
    rows = [
        (0, 0, low),
        (low, high, 1),
        (low + 1, low + 1, high - low - 1),
        (high, low, 1),
        (high + 1, high + 1, HIGHEST - high),
    ]
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in rows if count)


def enter(uid: int, known: int) -> None:
    """Go into a user namespace in which `uid` is called `known`. Raises `OSError` if that may not be."""
    names, libc = exchanged(*sorted((known, uid))), ctypes.CDLL(None, use_errno=True)
    waiting, told = os.pipe()
    me, child = os.getpid(), os.fork()
    if child == 0:
        os.close(told)
        os._exit(_write_names(me, names) if os.read(waiting, 1) else 1)
    done = libc.unshare(CLONE_NEWUSER)
    if done == 0:
        os.write(told, b".")
    os.close(told)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = ctypes.get_errno() if done else status
    if code:
        raise OSError(code, f"there is no user namespace for it: {os.strerror(code)}")


def _write_names(pid: int, names: str) -> int:
    """The error that it ends with; 0 without one."""
    try:
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{kind}").write_text(names)
    except OSError as error:
        return error.errno or 1
    return 0


def main(uid: int, command: list[str]) -> None:
    """Become `uid`, and the command."""
    known = known_user()
    try:
        enter(uid, known)
    except OSError as error:
        sys.exit(str(error.strerror))
    argv = [*as_user(known), *command]
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
