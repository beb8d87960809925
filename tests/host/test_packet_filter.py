"""Which connections a cut silences, and what is said where there can be none."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host import packet_filter
from chaosdrills.host.nodes import Node
from chaosdrills.host.packet_filter import Pair, _pairs
from chaosdrills.host.sockets import LISTEN, TcpSocket

UID = 60901
OPEN, CLOSING = "01", "04"
CLIENT, CONTROLLER, OTHER = 29092, 29192, 29193
SQL = 25432


def test_every_connection_with_others_is_found_and_none_with_itself() -> None:
    node = Node(1, "", [], {}, "", "", "", uid=UID, listeners={"client": CLIENT, "controller": CONTROLLER})
    sockets = [
        TcpSocket(CLIENT, 0, LISTEN, UID, "1"),
        TcpSocket(CLIENT, 40001, OPEN, UID, "2"),  # a client, and its end
        TcpSocket(40001, CLIENT, OPEN, 1000, "3"),
        TcpSocket(CLIENT, 40002, CLOSING, 0, "0"),  # closed by the node, and not yet by the client
        TcpSocket(40003, OTHER, OPEN, UID, "4"),  # to a peer
        TcpSocket(40004, CONTROLLER, OPEN, UID, "5"),  # to itself, and its other end
        TcpSocket(CONTROLLER, 40004, OPEN, UID, "6"),
        TcpSocket(40005, 443, OPEN, UID, "7"),  # to something that is no node of the lab
        TcpSocket(40006, OTHER, OPEN, UID + 1, "8"),  # of another node
    ]
    uids = [UID, UID + 1]
    assert _pairs(sockets, node, "all", [OTHER], uids) == {(CLIENT, 40001), (CLIENT, 40002), (OTHER, 40003)}
    assert _pairs(sockets, node, "clients", [], uids) == {(CLIENT, 40001), (CLIENT, 40002)}


@pytest.mark.parametrize(
    ("scope", "cut"),
    [
        ("all", {(SQL, 40001), (SQL, 40002), (SQL, 40003)}),
        ("clients", {(SQL, 40001), (SQL, 40003)}),
        ("peers", {(SQL, 40002), (SQL, 40003)}),
    ],
)
def test_where_clients_and_peers_share_a_listener_the_other_end_tells_them_apart(scope: str, cut: set[Pair]) -> None:
    node = Node(1, "", [], {}, "", "", "", uid=UID, listeners={"sql": SQL})
    sockets = [
        TcpSocket(SQL, 0, LISTEN, UID, "1"),
        TcpSocket(SQL, 40001, OPEN, UID, "2"),  # a client, and its end
        TcpSocket(40001, SQL, OPEN, 1000, "3"),
        TcpSocket(SQL, 40002, OPEN, UID, "4"),  # a standby, and its end
        TcpSocket(40002, SQL, OPEN, UID + 1, "5"),
        TcpSocket(SQL, 40003, CLOSING, 0, "0"),  # whose it was nobody can say any more: better cut than not
        TcpSocket(SQL, 40004, OPEN, UID, "6"),  # from itself, and its other end
        TcpSocket(40004, SQL, OPEN, UID, "7"),
    ]
    assert _pairs(sockets, node, scope, [], [UID, UID + 1]) == cut


def test_a_rule_is_two_ways() -> None:
    there, back = packet_filter._pair_rules((CLIENT, 40001))
    assert there != back


def test_without_root_it_says_so() -> None:
    if os.geteuid() != 0:
        assert packet_filter.why_not() == "it needs root"
        return
    code = "from chaosdrills.host import packet_filter; print(packet_filter.why_not())"
    argv = ["unshare", "--user", sys.executable, "-c", code]
    assert subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout == "it needs root\n"


def refusing(code: int) -> Callable[[], list[str]]:
    def names() -> list[str]:
        raise UnavailableError("the kernel's packet filter refuses.", "-") from OSError(code, os.strerror(code))

    return names


def test_where_nothing_can_be_cut_there_is_nothing_to_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_filter.nftables, "names", refusing(errno.EPERM))
    assert packet_filter.clear("kafka") is False


def test_a_kernel_that_does_not_answer_is_no_proof_that_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_filter.nftables, "names", refusing(errno.EAGAIN))
    with pytest.raises(UnavailableError, match="packet filter refuses"):
        packet_filter.clear("kafka")
