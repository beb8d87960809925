"""The register variant of the PostgreSQL workload on real servers."""

from typing import Any

import numpy as np
import pytest

from chaosdrills.core.history import Outcome, by_stream
from chaosdrills.errors import UnavailableError
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.payload import Seal, filler
from chaosdrills.timescaledb.dsn import Dsn
from chaosdrills.timescaledb.register import upsert_of
from tests.observe.register_conformance import GuardedConformance, figures
from tests.timescaledb.conftest import Drill, StartDrill
from tests.timescaledb.servers import dsn_of, primary, schemas, session

pytestmark = pytest.mark.lab


class OnTheLab:
    """The registers of the lab's PostgreSQL, by SQL."""

    def __init__(self, lab: Cluster, start: StartDrill) -> None:
        self._lab, self._start = lab, start

    def start(self, **arguments: Any) -> Drill:
        return self._start(kind="register", connections=arguments.pop("lanes"), **arguments)

    def held(self, load: Drill) -> dict[int, int]:
        with session(self._lab) as connection:
            return dict(connection.execute(f"SELECT key, seq FROM {load.schema}.register").fetchall())

    def remove(self, load: Drill, register: int) -> None:
        self._do(f"DELETE FROM {load.schema}.register WHERE key = {register}")

    def set_back(self, load: Drill, register: int, seq: int) -> None:
        checksum = self._checksum(load, register, seq)
        self._do(f"UPDATE {load.schema}.register SET seq = {seq}, checksum = {checksum} WHERE key = {register}")

    def write_again(self, load: Drill, register: int, seq: int) -> None:
        upsert, checksum = upsert_of(load.schema, load.drill_id, 100), self._checksum(load, register, seq)
        for name, value in (("$1", register), ("$2", seq), ("$3", checksum)):
            upsert = upsert.replace(name, str(value))
        assert self._do(upsert) == 0

    def cut(self, load: Drill) -> None:
        cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO {load.schema}.%'"
        assert self._do(cut) == 4

    def _do(self, sql: str) -> int:
        with session(self._lab) as connection:
            return connection.execute(sql).rowcount

    def _checksum(self, load: Drill, register: int, seq: int) -> int:
        return int(Seal(load.drill_id, register, filler(100)).of(b"%d" % seq))


@pytest.fixture
def service(timescaledb_lab: Cluster, start_drill: StartDrill) -> OnTheLab:
    return OnTheLab(timescaledb_lab, start_drill)


class TestRegisters(GuardedConformance):
    """The suite, on PostgreSQL."""


def test_what_is_recorded_of_the_kind(service: OnTheLab, timescaledb_lab: Cluster) -> None:
    drill = service.start(lanes=2)
    drill.wait_acked(50)
    drill.finish()
    facts = drill.history.header
    assert (facts["read_from"], facts["reads_per_s"], facts["retire_s"]) == ("primary", 50, 1.0)
    assert (facts["hypertable"], facts["synchronous"]) == (False, True)
    assert drill.schema not in schemas(timescaledb_lab)


def test_planted_rows_are_found_for_what_they_are(service: OnTheLab, timescaledb_lab: Cluster) -> None:
    drill = service.start(lanes=2, keep_schema=True, rate_per_s=100)
    assert wait_until(lambda: len(service.held(drill)) >= 8, 30)
    damage = f"UPDATE {drill.schema}.register SET payload = 'x' WHERE key = 0"
    stranger = f"UPDATE {drill.schema}.register SET drill = 'another' WHERE key = 1"
    never = f"INSERT INTO {drill.schema}.register VALUES (1000000, '{drill.drill_id}', 0, 'x', 0)"
    for sql in (damage, stranger, never):
        assert service._do(sql) == 1
    service.set_back(drill, 2, 1_000)
    result = drill.finish()
    with session(timescaledb_lab) as connection:
        connection.execute(f"DROP SCHEMA {drill.schema} CASCADE")
    assert (result["findings"]["damaged"], result["findings"]["foreign"]) == (1, 2)
    found, written = figures(drill.history), by_stream(drill.history.writes)
    assert [drill.history.finals[stream].seqs.tolist() for stream in (0, 1, 2)] == [[-1], [], [1_000]]
    assert found["lost"] == sum(len(written[stream]) for stream in (0, 1, 2))
    assert found["unexpected"] == 2


def test_what_changes_nothing_has_failed(service: OnTheLab) -> None:
    drill = service.start(lanes=1, retire_s=3600.0, rate_per_s=100)
    drill.wait_acked(20)
    service.set_back(drill, 0, 1_000_000)  # a newer write of somebody else
    assert wait_until(lambda: drill.session.snapshot()["failed"] > 20, 30), drill.session.snapshot()
    result = drill.finish()
    assert (result["unknown"], result["findings"]["connections_lost"]) == (0, 0)
    written = by_stream(drill.history.writes)[0]
    assert (np.diff(written.outcome.astype(int)) >= 0).all(), "acknowledged up to then, and not one after it"


def test_reads_of_a_replica_are_reads_of_a_replica_and_of_nothing_else(
    service: OnTheLab, timescaledb_lab: Cluster
) -> None:
    drill = service.start(lanes=2, read_from="replica", reads_per_s=100)
    drill.wait_acked(200)
    drill.finish()
    history = drill.history
    assert (history.reads.outcome == Outcome.OK).all()
    assert history.header["read_from"] == "replica"
    assert (history.reads.seq >= 0).any()
    assert figures(history)["stale"] is not None, "a replica may lag, and that is told"
    passfile = Dsn.of(dsn_of(timescaledb_lab)).parameters["passfile"]
    alone = f"postgresql://drill@{primary(timescaledb_lab).endpoint}/drill?passfile={passfile}"
    with pytest.raises(UnavailableError, match="acknowledged nothing on stream reads within"):
        service.start(lanes=2, read_from="replica", timeout_s=8, dsn=alone)
