"""A broker that is paused answers nothing and closes nothing: how long a client takes to notice, and the plain one."""

import time

import numpy as np
import pytest

from chaosdrills.core.history import NS, Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.host.nodes import Cluster, load
from chaosdrills.host.processes import wait_until
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.health import wait_whole
from chaosdrills.kafka.roles import active_controller
from tests.kafka.brokers import paused
from tests.kafka.conftest import Drill, StartDrill

pytestmark = pytest.mark.lab


def led_by(lab: Cluster, drill: Drill, broker: int) -> list[int]:
    partitions = Admin(Connection(lab.endpoint)).view(10, drill.topic).topics[drill.topic]
    return [partition.id for partition in partitions if partition.leader == broker]


def longest_gap_s(drill: Drill, partitions: list[int]) -> float:
    """The longest time between neighbouring acknowledgements, in any of these partitions."""
    writes = drill.history.writes
    acked = writes.select(writes.outcome == Outcome.OK)
    gaps = [np.diff(np.sort(acked.completed_ns[acked.stream == partition])).max() for partition in partitions]
    return float(max(gaps)) / NS


def test_a_watchful_client_goes_on_with_the_next_leader_and_a_plain_one_waits(
    kafka_lab: Cluster, start_drill: StartDrill
) -> None:
    """Both at once, so that they meet the same pause.

    It ends when the watchful one has been served well for 8 s, counted from writes that were due up to 1 s before
    acknowledgements came again: so it was back for over 6 s.
    """
    both = watchful, plain = start_drill(reader=False), start_drill(reader=False, client="plain")
    wait_whole(Connection(kafka_lab.endpoint), [1, 2, 3], 60)
    cluster = load("kafka")
    assert cluster is not None
    victim = next(node for node in cluster.nodes if node.id != active_controller(cluster))
    theirs = [led_by(kafka_lab, drill, victim.id) for drill in both]
    assert all(theirs), f"broker {victim.id} leads nothing: {theirs}"
    assert wait_until(lambda: all(clean_s(drill) > 3 for drill in both), 60), "no clean baseline"
    begun = time.monotonic()
    with paused([victim]):
        assert wait_until(lambda: max(clean_s(drill) for drill in both) < 1, 10), "nobody noticed"
        assert wait_until(lambda: clean_s(watchful) > 8, 40), watchful.session.snapshot()
        assert clean_s(plain) == 0
        paused_s = time.monotonic() - begun
    assert wait_until(lambda: clean_s(plain) > 2, 40), plain.session.snapshot()
    wait_whole(Connection(kafka_lab.endpoint), [1, 2, 3], 60)
    assert all(check["ok"] for drill in both for check in drill.finish()["checks"])

    gaps_s = [longest_gap_s(drill, partitions) for drill, partitions in zip(both, theirs, strict=True)]
    said = f"paused {paused_s:.1f} s; without acknowledgements: watchful {gaps_s[0]:.1f} s, plain {gaps_s[1]:.1f} s"
    assert gaps_s[0] < paused_s - 3, said
    assert gaps_s[1] > paused_s - 1, said
    assert [judge(drill.history, Limits()).as_dict()["lost"] for drill in both] == [0, 0]


def clean_s(drill: Drill) -> float:
    """For how long it has been served well."""
    return float(drill.session.snapshot()["clean_s"])
