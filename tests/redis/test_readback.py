"""The read-back where somebody else is in its way, on real servers."""

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import wait_until
from chaosdrills.redis.finding import Client
from chaosdrills.redis.layout import OwnLayout
from chaosdrills.redis.readback import ReadBack
from chaosdrills.redis.url import RedisUrl
from chaosdrills.redis.watcher import Watcher
from tests.redis.conftest import StartDrill
from tests.redis.servers import Group, Start

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("timeout_s", [3, 60])
def test_a_sentinel_that_was_cut_off_does_not_say_whom_to_read_back(
    start: Start, start_drill: StartDrill, timeout_s: int
) -> None:
    group = Group(start, replicas=1)
    cut_off, *others = group.sentinels
    only = f"redis+sentinel://{cut_off.address}/{group.name}"
    assert wait_until(lambda: len(cut_off.client().sentinel_slaves(group.name)) == 1, 30)
    drill = start_drill(only, read_from="primary", rate_per_s=100)
    drill.wait_acked(50)
    for sentinel in others:
        sentinel.kill()
    group.replicas[0].client().replicaof("NO", "ONE")  # as the others would have had it
    result = drill.finish(readback_timeout_s=timeout_s)
    told = {check["name"]: check["detail"] for check in result["checks"] if not check["ok"]}
    both = f"two primaries at once: {group.primary.address}, {group.replicas[0].address}"
    assert told == ({"read back": both} if timeout_s == 3 else {}), "the sentinel makes one a replica after some 10 s"


def test_what_is_flushed_after_the_drill_is_no_loss_of_it(start: Start, flavour: str) -> None:
    server = start(flavour=flavour)
    client = Client(RedisUrl.of(f"redis://{server.address}"), "test")
    watcher = Watcher(client, [])
    session = client.at(server.address)
    watcher.look_once(session)
    session.close()
    reading = ReadBack(OwnLayout("d1", False), client, watcher, 1)
    assert [list(it.seqs) for it in reading.run(10, lambda said: None)] == [[]]
    server.client().flushall()
    with pytest.raises(UnavailableError, match="was flushed after the drill"):
        list(reading.run(10, lambda said: None))


def test_a_server_that_is_known_by_two_addresses_is_no_second_primary(start: Start) -> None:
    server = start()
    client = Client(RedisUrl.of(f"redis://{server.address},localhost:{server.port}"), "test")
    reading = ReadBack(OwnLayout("d1", False), client, Watcher(client, []), 1)
    assert [list(it.seqs) for it in reading.run(10, lambda said: None)] == [[]]
