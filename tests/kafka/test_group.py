"""The drill's own consumer group on real brokers: members that are killed, start again, and end with the observer."""

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.core.history import NO_SEQ, NS, Operations, Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults import marking
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.nodes import Cluster, load
from chaosdrills.host.processes import Identity, is_alive, wait_gone, wait_until
from chaosdrills.kafka import consumers
from chaosdrills.kafka.actions import heal_consumers, kill_consumer
from chaosdrills.kafka.client import Connection
from chaosdrills.kafka.groups import GroupAdmin
from chaosdrills.kafka.probes import consumer_lag
from chaosdrills.observe.live import wait_restored
from tests.kafka.brokers import make_whole, settings
from tests.kafka.conftest import Drill, StartDrill

pytestmark = pytest.mark.lab

FRESH_S = 2.5
# Loose about writes, which nothing here is done to: a machine under load must not spoil what is looked for.
PARAMETERS = Parameters(baseline_s=5, stable_s=2, watch_s=3, fresh_s=FRESH_S, slow_s=4, gap_s=3)
FRESH = Limits(rto_s=120, max_lost=0, fresh=True)


@pytest.fixture(autouse=True)
def nothing_left(kafka_lab: Cluster) -> Iterator[None]:
    yield
    make_whole(kafka_lab)
    assert outstanding() == ([], [])


def clean(drill: Drill) -> None:
    """Wait until the drill has a clean baseline and its faults are marked in it."""
    assert wait_until(lambda: drill.session.snapshot()["clean_s"] > 6, 90), drill.session.snapshot()
    marking.set_marker(lambda name, label, at_ns: drill.session.mark(name, label, at_ns or drill.clock_ns()))


def members(cluster: Cluster | None = None) -> dict[int, Identity]:
    """The living members, by number."""
    nodes = (cluster or consumers.running()).nodes
    return {node.id: node.process for node in nodes if node.process is not None and node.alive}


def owned(lab: Cluster, drill: Drill) -> dict[str, set[int]]:
    """Which member owns which partitions, as the group's coordinator says."""
    found = GroupAdmin(Connection(lab.endpoint)).members(f"chaosdrills-{drill.drill_id}", 5)
    return {member.client_id: {partition for _, partition in member.owns} for member in found}


def reads_of(drill: Drill, stream: int) -> Operations:
    reads = drill.history.reads
    return reads.select(reads.stream == stream)


def is_fresh(drill: Drill) -> bool:
    age_s = drill.session.snapshot()["age_s"]
    return age_s is not None and age_s < 1


def test_a_killed_members_data_is_stale_until_the_group_rebalances(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(consumers=2, partitions=4, session_timeout_s=6)
    assert drill.session.ready["session_timeout_s"] == 6
    shares = owned(kafka_lab, drill)
    assert sorted(partition for share in shares.values() for partition in share) == [0, 1, 2, 3]
    ours = settings(kafka_lab, drill.topic)

    clean(drill)
    killed = kill_consumer("member", 1, configuration=ours)
    victim = killed["consumer"]
    theirs = shares[f"{consumers.CLIENT_ID}{victim}"]
    assert killed["what"] == f"kill -9 of consumer {victim} (owner of {drill.topic}/1)"
    assert 1 in theirs
    assert sorted(members()) == [3 - victim]
    assert wait_until(lambda: drill.session.snapshot()["age_s"] > FRESH_S, 30, 0.1), "no data grew stale"
    restored_s = wait_restored(drill.record, PARAMETERS, 90, drill.clock_ns, fresh=True)
    assert restored_s is not None, drill.session.snapshot()
    assert restored_s > FRESH_S

    assert heal_consumers(configuration=ours) == {"healed": 1, "nothing_to_do": 0}
    assert heal_consumers(configuration=ours) == {"healed": 0, "nothing_to_do": 0}
    assert sorted(members()) == [1, 2]
    assert wait_restored(drill.record, PARAMETERS, 90, drill.clock_ns, fresh=True) is not None
    assert wait_until(lambda: sorted(map(len, owned(kafka_lab, drill).values())) == [2, 2], 30), owned(kafka_lab, drill)
    drill.wait_acked(800)
    gone = list(members().values())
    result = drill.finish()
    assert all(check["ok"] for check in result["checks"]), result["checks"]
    assert result["findings"]["consumers_lost"] == 1
    assert not any(is_alive(identity) for identity in gone), "consumers were left"
    assert load(consumers.SERVICE) is None

    judged = judge(drill.history, FRESH, PARAMETERS)
    figures = judged.as_dict()
    assert figures["verdict"] == "met", judged.overall
    assert abs(figures["freshness_s"] - restored_s) < 1.5 or figures["freshness_s"] >= restored_s, (figures, restored_s)
    assert FRESH_S < figures["freshness_s"] < 60
    begin, end = drill.history.marks_named("fault_end")[0], drill.history.marks_named("fault_end")[0] + 2 * NS
    for stream in range(4):
        reads = reads_of(drill, stream)
        within = reads.select((reads.completed_ns > begin) & (reads.completed_ns < end))
        seen = (within.seq != NO_SEQ).any()
        assert seen == (stream not in theirs), f"stream {stream}, of {theirs}"
        if stream in theirs:
            assert (within.outcome == Outcome.FAILED).any(), "nobody looked, and nobody says so"
        assert np.diff(np.sort(reads.completed_ns)).max() < 3 * NS, "the reads are silent"
    assert owned(kafka_lab, drill) == {}


def test_where_nobody_takes_over_data_stays_stale_and_that_is_not_the_readers_silence(
    kafka_lab: Cluster, start_drill: StartDrill
) -> None:
    drill = start_drill(consumers=1, partitions=2, session_timeout_s=6, assignment_strategy="cooperative-sticky")
    clean(drill)
    ours = settings(kafka_lab, drill.topic)
    kill_consumer("random", seed=3, configuration=ours)
    assert wait_restored(drill.record, PARAMETERS, 1, drill.clock_ns, fresh=True) is None, "it looks fresh at once"
    assert wait_until(lambda: drill.session.snapshot()["age_s"] > 9, 30, 0.1), drill.session.snapshot()
    assert wait_restored(drill.record, PARAMETERS, 0, drill.clock_ns) is not None, "writes are not restored"
    assert wait_restored(drill.record, PARAMETERS, 0, drill.clock_ns, fresh=True) is None
    with pytest.raises(ActivityFailed, match=r"no consumer of the drill runs"):
        kill_consumer("random", configuration=ours)
    told = {**ours, "kafka_group": drill.session.ready["group"]}  # as the observe control tells activities
    assert consumer_lag(configuration=told)["lag_s"] > 5
    heal_consumers(configuration=ours)
    assert wait_until(lambda: is_fresh(drill), 60, 0.1), drill.session.snapshot()
    assert wait_restored(drill.record, PARAMETERS, 60, drill.clock_ns, fresh=True) is not None
    drill.wait_acked(600)
    drill.finish()

    judged = judge(drill.history, FRESH, PARAMETERS)
    assert judged.freshness.why == "data was still stale at an episode's end"
    assert judged.freshness.censored
    assert judged.rto.verdict == "unknown"
    assert judged.as_dict()["lost"] == 0


def test_the_protocol_of_kip_848(kafka_lab: Cluster, start_drill: StartDrill) -> None:
    """Its session timeout is the brokers', 45 s: only that members read, are found by partition, and start again."""
    drill = start_drill(consumers=2, partitions=4, group_protocol="consumer")
    assert "session_timeout_s" not in drill.session.ready
    clean(drill)
    assert sorted(map(len, owned(kafka_lab, drill).values())) == [2, 2]
    assert is_fresh(drill)
    ours = settings(kafka_lab, drill.topic)
    first = kill_consumer("member", 0, configuration=ours)["consumer"]
    assert wait_until(lambda: not is_fresh(drill), 30, 0.1)
    heal_consumers(configuration=ours)
    assert sorted(members()) == [1, 2]
    assert f"{consumers.CLIENT_ID}{first}" in owned(kafka_lab, drill)
    drill.finish()


def test_members_end_with_a_killed_observer(start_drill: StartDrill) -> None:
    drill = start_drill(consumers=2, partitions=2)
    drill.wait_acked(50)
    alive = list(members().values())
    assert len(alive) == 2
    os.kill(drill.session._identity.pid, signal.SIGKILL)
    assert not wait_gone([drill.session._identity, *alive], 30)
    with pytest.raises(UnavailableError, match="no drill with consumers runs"):
        consumers.running()
    second = start_drill(consumers=1, partitions=2)
    assert len(members()) == 1
    second.finish()


def test_members_end_with_the_drill(start_drill: StartDrill) -> None:
    drill = start_drill(consumers=1, partitions=2, eof_drain_s=1.0)
    drill.wait_acked(50)
    alive = list(members().values())
    drill.session._channel.close()
    assert not wait_gone([drill.session._identity, *alive], 30)
    assert load(consumers.SERVICE) is None


def test_a_second_drill_with_consumers_is_refused(start_drill: StartDrill) -> None:
    first = start_drill(consumers=1, partitions=2)
    with pytest.raises(UnavailableError, match="another drill's consumers run on this machine"):
        start_drill(consumers=1, partitions=2)
    assert len(members()) == 1
    first.finish()


def test_what_kafka_refuses_is_told_at_the_start(start_drill: StartDrill) -> None:
    with pytest.raises(UsageError, match=r"Kafka does not take a consumer .* session timeout"):
        start_drill(consumers=1, session_timeout_s=4)
    assert load(consumers.SERVICE) is None


def test_without_consumers_there_is_none_to_kill(kafka_lab: Cluster) -> None:
    with pytest.raises(ActivityFailed, match="no drill with consumers runs on this machine"):
        kill_consumer(configuration=settings(kafka_lab))
    assert heal_consumers(configuration=settings(kafka_lab)) == {"healed": 0, "nothing_to_do": 0}
