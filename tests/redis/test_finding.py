"""Finding the server that is wanted among real ones: alone, in a list, through Sentinel."""

import signal
import time

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.processes import wait_until
from chaosdrills.redis.client import Session
from chaosdrills.redis.finding import ANY, PRIMARY, STANDBY, Client, address_of, by_port
from chaosdrills.redis.way import way_of
from tests.redis.servers import Group, Start

pytestmark = pytest.mark.lab


def client(url: str) -> Client:
    return way_of({"redis_url": url}, {})


def found(url: str, role: str = PRIMARY, timeout_s: float = 5, patient: bool = False) -> str:
    session = client(url).find(role, timeout_s, patient)
    session.close()
    return session.address


def test_addresses_are_written_as_a_url_has_them_and_sorted_by_their_ports() -> None:
    assert address_of(b"10.0.0.1", "6379") == "10.0.0.1:6379"
    assert address_of("::1", b"6379") == "[::1]:6379"
    assert sorted(["one:10", "one:9", "[::1]:9", "a:9"], key=by_port) == ["[::1]:9", "a:9", "one:9", "one:10"]


def test_sentinels_name_the_primary_and_those_that_follow(group: Group) -> None:
    replicas = {it.address for it in group.replicas}
    assert found(group.url) == group.primary.address
    assert found(group.url, STANDBY) in replicas
    assert found(group.url, ANY) == group.primary.address
    assert client(group.url).servers() == sorted([group.primary.address, *replicas], key=by_port)


def test_a_dead_or_silent_sentinel_is_passed_over(group: Group) -> None:
    group.sentinels[0].kill()
    group.sentinels[1].signal(signal.SIGSTOP)
    one = client(group.url)
    begun = time.monotonic()
    one.find(PRIMARY, 5).close()
    assert time.monotonic() - begun < 3
    begun = time.monotonic()
    one.find(PRIMARY, 5).close()
    assert time.monotonic() - begun < 0.5, "the sentinel that answered last is asked first"
    group.sentinels[2].kill()
    with pytest.raises(UnavailableError, match=r"\(sentinel\) says: connection refused.*\(sentinel\) does not answer"):
        one.find(PRIMARY, 0.1)


def test_the_new_primary_is_found_after_the_old_one_is_lost(group: Group) -> None:
    group.primary.kill()
    assert found(group.url, timeout_s=20) in {it.address for it in group.replicas}
    assert group.primary.address not in found(group.url, STANDBY, timeout_s=10)


def test_a_list_is_gone_through_for_the_one_that_leads(group: Group) -> None:
    replicas = ",".join(it.address for it in group.replicas)
    assert found(f"redis://{replicas},{group.primary.address}") == group.primary.address
    assert found(f"redis://{group.primary.address},{replicas}", STANDBY) == group.replicas[0].address
    with pytest.raises(UnavailableError, match=r"takes writes, 0.1 s long: .* is a replica; .* is a replica"):
        found(f"redis://{replicas}", timeout_s=0.1)


def test_one_server_is_refused_at_once_if_it_only_follows_unless_it_may_lead_later(group: Group) -> None:
    only = f"redis://{group.replicas[0].address}"
    begun = time.monotonic()
    with pytest.raises(UsageError, match="is a replica, and takes no writes"):
        found(only, timeout_s=30)
    assert time.monotonic() - begun < 5
    with pytest.raises(UnavailableError, match=r"takes writes, 0.2 s long: .* is a replica"):
        found(only, timeout_s=0.2, patient=True)
    assert found(only, STANDBY) == found(only, ANY) == group.replicas[0].address
    with pytest.raises(UnavailableError, match=r"is a replica in step, 0.1 s long: .* is no replica"):
        found(f"redis://{group.primary.address}", STANDBY, timeout_s=0.1)


def test_a_replica_whose_link_is_down_is_not_in_step(start: Start, flavour: str) -> None:
    lone = start("replicaof 127.0.0.1 1", flavour=flavour)
    with pytest.raises(UnavailableError, match=r"is not in step \(connect"):
        found(f"redis://{lone.address}", STANDBY, timeout_s=0.1)


def test_a_search_ends_when_it_is_told_to(start: Start) -> None:
    begun, told = time.monotonic(), iter([False, False, True])
    with pytest.raises(UnavailableError, match="connection refused"):
        client("redis://127.0.0.1:1").find(PRIMARY, 60, stopped=lambda: next(told, True))
    assert time.monotonic() - begun < 5


def test_a_client_of_one_address_stays_there_whoever_leads(group: Group) -> None:
    stays = client(group.url).only(group.replicas[0].address)
    assert stays.servers() == [group.replicas[0].address]
    with pytest.raises(UsageError, match="is a replica"):
        stays.find(PRIMARY, 5)


def test_a_session_tells_who_it_is_and_is_hung_up_on_when_it_waits_too_long(start: Start, flavour: str) -> None:
    server = start(flavour=flavour)
    session = client(f"redis://{server.address}").at(server.address)
    assert [it["name"] for it in server.client().client_list() if it["name"]] == ["chaosdrills"]
    assert session.do_all([("SET", "one", b"\xff"), ("GET", "one")], 2) == [b"OK", b"\xff"]
    with pytest.raises(UnavailableError, match=r"refuses GET: .*wrong number of arguments"):
        session.do("GET", timeout_s=2)
    assert session.do("PING", timeout_s=2) == b"PONG"
    server.signal(signal.SIGSTOP)
    with pytest.raises(UnavailableError, match=r"did not answer within 0\.1 s"):
        session.do("PING", timeout_s=0.1)
    server.signal(signal.SIGCONT)
    with pytest.raises(UnavailableError):  # an answer that is late is nobody's
        session.do("PING", timeout_s=1)
    assert wait_until(lambda: not [it for it in server.client().client_list() if it["name"]], 10)


def test_a_connection_that_breaks_is_told(start: Start) -> None:
    server = start()
    session: Session = client(f"redis://{server.address}").at(server.address)
    server.kill()
    with pytest.raises(UnavailableError, match=f"the connection to {server.address} was lost"):
        session.do("PING", timeout_s=2)
