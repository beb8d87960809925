"""Shared memory of the System V kind that a killed server has left: the kernel keeps it until somebody removes it.

A machine has 4096 such segments by default, for everybody on it. A server that notes its own in its pid file, as
PostgreSQL does (the first line is its pid, negative if it serves nobody, as in initdb; the seventh the segment's key
and id), finds it again at its next start. Where there will be none, because its data go, the segment is removed here:
nobody else ever would.
"""

import ctypes
from contextlib import suppress
from pathlib import Path

PID_FILE = "postmaster.pid"
SEGMENTS = Path("/proc/sysvipc/shm")
KEY_BITS = (1 << 32) - 1  # of a signed number in one file and an unsigned one in the other
IPC_RMID = 0


def remove_left(data: Path) -> bool:
    """Remove the segment of the dead server whose data these are; false if there is none, or it may be another's.

    It is the server's if the process of its pid file has made it, and nobody has it in use.
    """
    with suppress(OSError, ValueError, IndexError):
        lines = (data / PID_FILE).read_text().splitlines()
        key, segment = map(int, lines[6].split())
        if _is_left(key, segment, abs(int(lines[0]))):
            return bool(ctypes.CDLL(None).shmctl(segment, IPC_RMID, None) == 0)
    return False


def _is_left(key: int, segment: int, maker: int) -> bool:
    """Whether there is this segment, made by the process `maker`, and attached by none."""
    for row in SEGMENTS.read_text().splitlines()[1:]:
        its_key, its_id, _, _, its_maker, _, attached = map(int, row.split()[:7])
        if its_id == segment:
            return (its_key & KEY_BITS, its_maker, attached) == (key & KEY_BITS, maker, 0)
    return False
