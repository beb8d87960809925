"""A pooler in transaction mode before the server: each insert may be done by another connection of its own."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.core.history import Outcome
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import wait_until
from chaosdrills.host.sockets import accepts
from chaosdrills.lab.postgresql_programs import find_programs
from chaosdrills.timescaledb.dsn import Dsn
from tests.conftest import free_base_port
from tests.timescaledb.conftest import StartDrill
from tests.timescaledb.servers import ask, dsn_of, primary

PGBOUNCER = shutil.which("pgbouncer")
NONE = "NO PGBOUNCER HERE: it is not on the PATH"
pytestmark = pytest.mark.lab

SETTINGS = """
[databases]
drill = host=127.0.0.1 port={port} user=drill password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
auth_type = any
pool_mode = transaction
default_pool_size = 3
unix_socket_dir =
"""


@pytest.fixture
def pooler(timescaledb_lab: Cluster, tmp_path: Path) -> Iterator[str]:
    """PgBouncer before the primary, with fewer connections than a drill has; yields the DSN."""
    passfile = Path(Dsn.of(dsn_of(timescaledb_lab)).parameters["passfile"])
    port = primary(timescaledb_lab).endpoint.partition(":")[2]
    password, listen = passfile.read_text().splitlines()[0].rpartition(":")[2], free_base_port((0,))
    told = tmp_path / "pgbouncer.ini"
    told.touch(0o600)
    told.write_text(SETTINGS.format(port=port, password=password, listen=listen))
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen([*find_programs().prefix, str(PGBOUNCER), str(told)], stdout=log, stderr=log)
    try:
        assert wait_until(lambda: accepts(f"127.0.0.1:{listen}"), 10), (tmp_path / "log").read_text()
        yield f"postgresql://drill@127.0.0.1:{listen}/drill?sslmode=disable"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.mark.skipif(PGBOUNCER is None, reason=NONE)
@pytest.mark.parametrize("kind", ["ledger", "register"])
def test_a_drill_through_a_pooler_in_transaction_mode(
    timescaledb_lab: Cluster, start_drill: StartDrill, pooler: str, kind: str
) -> None:
    drill = start_drill(pooler, read_from="primary", kind=kind)
    drill.wait_acked(300)
    servers = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'chaosdrills %'"
    assert ask(timescaledb_lab, servers, primary(timescaledb_lab)) <= 3  # type: ignore[operator]
    result = drill.finish()
    assert drill.history.header["pooled"] is True
    assert (result["acked"], result["failed"], result["unknown"]) == (result["sent"], 0, 0)
    written = drill.written(Outcome.OK)
    kept = written if kind == "ledger" else {stream: {max(seqs)} for stream, seqs in written.items() if seqs}
    assert {stream: set(seqs) for stream, seqs in drill.survivors().items() if seqs} == kept
    assert all(check["ok"] for check in result["checks"]), result["checks"]


def test_without_one_nothing_is_pooled(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(connections=1)
    drill.finish()
    assert drill.history.header["pooled"] is False
