"""Tables of the packet filter: made as a whole or not at all, found by name, and removed with all that is in them."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host import nftables, packet_filter
from chaosdrills.host.sockets import accepts

pytestmark = pytest.mark.skipif(
    bool(packet_filter.why_not()), reason=f"NO PACKET FILTER HERE: {packet_filter.why_not()}"
)

NAME = f"chaosdrills-test-{os.getpid()}"


@pytest.fixture
def nothing_left() -> Iterator[None]:
    yield
    nftables.remove(NAME)


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a listening socket."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


@pytest.mark.usefixtures("nothing_left")
def test_a_rule_hits_what_it_names_until_its_table_is_removed(server: int) -> None:
    nftables.make(NAME, {"in": [[*nftables.to_port(server), *nftables.DROP]]})
    assert NAME in nftables.names()
    assert not accepts(f"127.0.0.1:{server}", 0.3)
    assert nftables.remove(NAME)
    assert NAME not in nftables.names()
    assert accepts(f"127.0.0.1:{server}")
    assert not nftables.remove(NAME)


@pytest.mark.usefixtures("nothing_left")
def test_rules_are_tried_in_their_order(server: int) -> None:
    nftables.make(NAME, {"in": [[*nftables.to_port(server), *nftables.RETURN]]})
    nftables.add(NAME, "in", [[*nftables.to_port(server), *nftables.DROP]])
    assert accepts(f"127.0.0.1:{server}")


@pytest.mark.usefixtures("nothing_left")
def test_what_a_user_sends_is_known_when_it_arrives_by_its_mark(server: int) -> None:
    out, drop = [*nftables.uid_is(os.getuid()), *nftables.set_mark(7)], [*nftables.to_port(server), *nftables.DROP]
    nftables.make(NAME, {"out": [out], "in": [[*nftables.mark_is_not(7), *drop]]})
    assert accepts(f"127.0.0.1:{server}")
    nftables.remove(NAME)
    nftables.make(NAME, {"out": [out], "in": [[*nftables.mark_is(7), *drop]]})
    assert not accepts(f"127.0.0.1:{server}", 0.3)


@pytest.mark.usefixtures("nothing_left")
def test_other_protocols_and_addresses_can_be_left_alone(server: int) -> None:
    drop = [*nftables.to_port(server), *nftables.DROP]
    elsewhere = [*nftables.destination_is_not("127.0.0.2"), *nftables.RETURN]
    nftables.make(NAME, {"in": [elsewhere, drop]})
    assert accepts(f"127.0.0.1:{server}")
    nftables.remove(NAME)
    nftables.make(NAME, {"in": [[*nftables.protocol_is_not_tcp(), *nftables.RETURN], drop]})
    assert not accepts(f"127.0.0.1:{server}", 0.3)


@pytest.mark.usefixtures("nothing_left")
def test_a_batch_of_which_one_change_is_refused_changes_nothing() -> None:
    with pytest.raises(UnavailableError, match="the kernel's packet filter refuses"):
        nftables.make(NAME, {"in": [nftables.DROP, [nftables._expression("no such expression")]]})
    assert NAME not in nftables.names()


@pytest.mark.usefixtures("nothing_left")
def test_a_table_that_is_there_is_not_made_again_and_one_that_is_not_gets_no_rules() -> None:
    nftables.make(NAME, {})
    with pytest.raises(UnavailableError, match="File exists"):
        nftables.make(NAME, {})
    nftables.remove(NAME)
    with pytest.raises(UnavailableError, match="No such file"):
        nftables.add(NAME, "in", [nftables.DROP])


@pytest.mark.usefixtures("nothing_left")
def test_many_rules_are_one_change() -> None:
    rules = [[*nftables.from_port(port), *nftables.to_port(1), *nftables.DROP] for port in range(2000)]
    nftables.make(NAME, {"in": rules})
    assert nftables.remove(NAME)
