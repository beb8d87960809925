"""Shared memory that a dead server has left, on the kernel's own segments."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.host import shared_memory
from chaosdrills.host.shared_memory import remove_left

MAKER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
segment = libc.shmget(int(sys.argv[1]), 56, 0o1600)
libc.shmat.restype = ctypes.c_void_p
libc.shmat(segment, None, 0)
print(segment, flush=True)
sys.stdin.read()
"""


class Server:
    """A process that has made a segment and has it in use, as PostgreSQL's first process does."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAKER, str(key)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.segment = int(self.process.stdout.readline())

    def pid_file(self, pid: int | None = None, key: int | None = None) -> str:
        key = self.key if key is None else key
        lines = [str(pid or self.process.pid), "/data", "1795864304", "5432", "", "127.0.0.1"]
        return "\n".join([*lines, f"{key & (1 << 64) - 1:9d} {self.segment:9d}", "ready   ", ""])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def is_there(self) -> bool:
        rows = shared_memory.SEGMENTS.read_text().splitlines()[1:]
        return self.segment in [int(row.split()[1]) for row in rows]


@pytest.fixture(params=[1, -1], ids=["key", "negative key"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(request.param * (0x40000000 + os.getpid()))
    yield made
    made.kill()
    ctypes.CDLL(None).shmctl(made.segment, shared_memory.IPC_RMID, None)


@pytest.mark.parametrize("sign", [1, -1], ids=["serves", "serves nobody"])
def test_what_a_dead_server_has_left_is_removed(server: Server, tmp_path: Path, sign: int) -> None:
    (tmp_path / "postmaster.pid").write_text(server.pid_file(pid=sign * server.process.pid))
    server.kill()
    assert server.is_there(), "a kernel that removes it itself needs none of this"
    assert remove_left(tmp_path)
    assert not server.is_there()
    assert not remove_left(tmp_path)


def test_what_is_in_use_stays(server: Server, tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(server.pid_file())
    assert not remove_left(tmp_path)
    assert server.is_there()


def test_what_another_has_made_stays(server: Server, tmp_path: Path) -> None:
    server.kill()
    for text in (server.pid_file(pid=os.getpid()), server.pid_file(key=server.key + 1), "12\n/data\n", "", "no pid\n"):
        (tmp_path / "postmaster.pid").write_text(text)
        assert not remove_left(tmp_path)
    assert not remove_left(tmp_path / "nowhere")
    assert server.is_there()
