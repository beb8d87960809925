"""Which network a lab gets, and which of those that run will do."""

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host import packet_filter
from chaosdrills.lab import kafka_listeners, networks, postgresql_listeners, redis_listeners
from tests.conftest import POSTGRESQL_OFFSETS, REDIS_OFFSETS


@pytest.fixture(params=["", "it needs root"])
def why(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Why there is no packet filter; empty if there is."""
    monkeypatch.setattr(packet_filter, "why_not", lambda: request.param)
    found: str = request.param
    return found


def test_isolable_is_filtered_where_that_can_be_and_proxied_elsewhere(why: str) -> None:
    said: list[str] = []
    assert networks.choose("isolable", said.append) == ("proxied" if why else "filtered")
    assert ("it needs root" in "".join(said)) is bool(why)


def test_filtered_is_refused_with_the_reason_where_it_cannot_be(why: str) -> None:
    if not why:
        assert networks.choose("filtered", print) == "filtered"
        return
    with pytest.raises(UnavailableError, match=r"by packet filter on this machine: it needs root\.") as raised:
        networks.choose("filtered", print)
    assert "--network proxied" in raised.value.hint


@pytest.mark.usefixtures("why")
def test_the_others_are_what_was_asked_for() -> None:
    assert [networks.choose(wanted, print) for wanted in (None, "plain", "proxied")] == ["plain", "plain", "proxied"]


@pytest.mark.parametrize(
    ("wanted", "suiting"),
    [
        ("plain", {"plain"}),
        ("filtered", {"filtered"}),
        ("proxied", {"proxied"}),
        ("isolable", {"filtered", "proxied"}),
    ],
)
def test_a_lab_that_runs_suits_what_it_can_do(wanted: str, suiting: set[str]) -> None:
    assert {actual for actual in ("plain", "filtered", "proxied") if networks.suits(wanted, actual)} == suiting


def test_no_two_listeners_of_three_nodes_share_a_port() -> None:
    for network in ("plain", "filtered", "proxied"):
        public = [kafka_listeners.public_ports(network, 20000 + node) for node in range(3)]
        own = [kafka_listeners.own_ports(network, each) for each in public]
        ports = [port for each in (*public, *own) for port in each.values()]
        assert len(set(ports)) == len(ports) == {"plain": 6, "filtered": 9, "proxied": 18}[network]
        assert max(ports) <= 20002 + kafka_listeners.HIGHEST_OFFSET


def test_what_else_a_service_needs_of_a_packet_filter_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_filter, "why_not", lambda: "")
    assert networks.choose("isolable", print, lambda: "no names") == "proxied"
    with pytest.raises(UnavailableError, match=r"by packet filter on this machine: no names\."):
        networks.choose("filtered", print, lambda: "no names")


def test_no_two_listeners_of_a_postgresql_lab_share_a_port() -> None:
    for network, count in {"plain": 6, "filtered": 6, "proxied": 11}.items():
        ports = postgresql_listeners.all_ports(network, 25432)
        assert len(set(ports)) == len(ports) == count
        assert max(ports) <= 25432 + postgresql_listeners.HIGHEST_OFFSET
        assert {port - 25432 for port in ports} <= set(POSTGRESQL_OFFSETS)
        servers = [postgresql_listeners.server_ports(25432, node) for node in (1, 2)]
        assert servers == [{"sql": 25432, "rest": 25452}, {"sql": 25433, "rest": 25453}]


def test_no_two_listeners_of_a_redis_lab_share_a_port() -> None:
    for network, count in {"plain": 6, "filtered": 6, "proxied": 12}.items():
        ports = redis_listeners.all_ports(network, 27379)
        assert len(set(ports)) == len(ports) == count
        assert max(ports) <= 27379 + redis_listeners.HIGHEST_OFFSET
        assert {port - 27379 for port in ports} <= set(REDIS_OFFSETS)
        nodes = [redis_listeners.public_ports(27379, node) for node in (1, 3, 4, 6)]
        assert nodes == [{"redis": 27379}, {"redis": 27381}, {"sentinel": 27399}, {"sentinel": 27401}]
