"""A taken port is named with its holder."""

import os
import socket
from collections.abc import Iterator

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.lab import ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_holder_is_named_by_pid_and_command(taken: int) -> None:
    assert not ports.is_free(taken)
    with pytest.raises(UnavailableError) as caught:
        ports.require_free([taken], "do this.")
    me = f"process {os.getpid()} ({ports.command(os.getpid())})"
    assert caught.value.message == f"port {taken} of 127.0.0.1 is taken by {me}."
    assert caught.value.hint == "do this."
    assert "python" in me or "pytest" in me


def test_a_holder_on_all_addresses_is_found_too() -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        assert str(os.getpid()) in ports.holder(port)


def test_a_port_is_free_again_once_its_holder_has_closed_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert ports.is_free(port)
    ports.require_free([port], "")
    assert ports.holder(port) == "a connection that is just closing"


def test_a_pair_lies_the_distance_apart_and_is_free() -> None:
    port = ports.free_pair(100)
    assert ports.is_free(port)
    assert ports.is_free(port + 100)


def test_a_long_command_is_shortened() -> None:
    assert len(ports.command(os.getpid())) <= 120
    assert ports.command(2**22 + 1) == "?"
