"""Sockets as the kernel lists them: both ends of a connection, whose they are, and who holds them."""

import os
import socket
from contextlib import closing

import pytest

from chaosdrills.host.sockets import LISTEN, accepts, socket_inodes, tcp_ends, tcp_sockets


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_both_ends_of_a_connection_are_listed_with_their_holder(family: socket.AddressFamily) -> None:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with closing(socket.create_server((address, 0), family=family)) as server:
        port = server.getsockname()[1]
        with closing(socket.create_connection((address, port))) as client, closing(server.accept()[0]):
            ours = client.getsockname()[1]
            found = {(it.local_port, it.remote_port): it for it in tcp_sockets()}
            assert found[port, 0].state == LISTEN
            assert tcp_ends(ours, port) == [found[ours, port]]
            ends = [found[ours, port], found[port, ours], found[port, 0]]
            assert {end.uid for end in ends} == {os.getuid()}
            assert {end.inode for end in ends} <= socket_inodes(os.getpid())


def test_a_port_accepts_while_somebody_listens() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        assert accepts(endpoint)
    assert not accepts(endpoint)


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert socket_inodes(2**22 + 1) == set()
