"""The read-back where somebody else is in its way, on real servers."""

import pytest

from chaosdrills.host.processes import wait_until
from tests.redis.conftest import StartDrill
from tests.redis.servers import Group, Start

pytestmark = pytest.mark.lab


def test_a_sentinel_that_was_cut_off_does_not_say_whom_to_read_back(start: Start, start_drill: StartDrill) -> None:
    group = Group(start, replicas=1)
    cut_off, *others = group.sentinels
    only = f"redis+sentinel://{cut_off.address}/{group.name}"
    assert wait_until(lambda: len(cut_off.client().sentinel_slaves(group.name)) == 1, 30)
    drill = start_drill(only, read_from="primary", rate_per_s=100)
    drill.wait_acked(50)
    for sentinel in others:
        sentinel.kill()
    group.replicas[0].client().replicaof("NO", "ONE")  # as the others would have had it
    result = drill.finish(readback_timeout_s=3)
    told = {check["name"]: check["detail"] for check in result["checks"] if not check["ok"]}
    assert f"two primaries at once: {group.primary.address}, {group.replicas[0].address}" in told["read back"]
