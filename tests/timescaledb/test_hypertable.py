"""The ledger as a hypertable, where this PostgreSQL has the extension TimescaleDB.

It is in no package registry: `CHAOSDRILLS_PG_BINDIR` names the programs of a PostgreSQL that has it. All other tests of
this folder run on whatever there is.
"""

import pytest

from chaosdrills.errors import DrillError
from chaosdrills.host.nodes import Cluster
from chaosdrills.lab.postgresql_programs import BINDIR, find_programs
from tests.timescaledb.conftest import StartDrill
from tests.timescaledb.servers import ask, schemas, session


def why_not() -> str:
    """Why there is no TimescaleDB here; empty if there is."""
    try:
        found = find_programs()
    except DrillError as error:
        return error.message
    return "" if found.has_timescaledb else f"{found.bindir} has no timescaledb; {BINDIR} can name another PostgreSQL"


pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(why_not()), reason=f"NO TIMESCALEDB HERE: {why_not()}")]


def test_the_ledger_is_a_hypertable_and_read_back_over_its_chunks(
    timescaledb_lab: Cluster, start_drill: StartDrill
) -> None:
    drill = start_drill(connections=2, keep_schema=True)
    drill.wait_acked(50)
    assert drill.history.header["hypertable"] is True
    assert drill.history.header["timescaledb_version"] == ask(
        timescaledb_lab, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
    )
    chunks = f"SELECT count(*) FROM show_chunks('{drill.schema}.ledger')"
    copied = (
        f"INSERT INTO {drill.schema}.ledger (written_at, drill, stream, seq, payload, checksum) "
        f"SELECT written_at - interval '30 days', drill, stream, seq, payload, checksum "
        f"FROM {drill.schema}.ledger WHERE stream = 0 AND seq = 3"
    )
    with session(timescaledb_lab) as connection:
        connection.execute(copied)
    assert ask(timescaledb_lab, chunks) == 2
    drill.wait_acked(50)
    result = drill.finish()
    assert all(check["ok"] for check in result["checks"]), result["checks"]
    found = drill.survivors()
    assert found[0].count(3) == 2, "what lies in another chunk is found too"
    assert sorted(set(found[0])) == list(range(len(found[0]) - 1))
    with session(timescaledb_lab) as connection:
        connection.execute(f"DROP SCHEMA {drill.schema} CASCADE")
    assert drill.schema not in schemas(timescaledb_lab)
