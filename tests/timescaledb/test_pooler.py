"""A pooler in transaction mode before the server: each insert may be done by another connection of its own.

It speaks TLS, too, which the servers of the wheels do not.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaosdrills.core.history import Outcome
from chaosdrills.errors import UsageError
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


TLS = """
client_tls_sslmode = require
client_tls_cert_file = {folder}/cert
client_tls_key_file = {folder}/key
"""


@contextmanager
def pooled(lab: Cluster, tmp_path: Path, more: str = "") -> Iterator[str]:
    """PgBouncer before the primary, with fewer connections than a drill has; yields the DSN."""
    passfile = Path(Dsn.of(dsn_of(lab)).parameters["passfile"])
    port = primary(lab).endpoint.partition(":")[2]
    password, listen = passfile.read_text().splitlines()[0].rpartition(":")[2], free_base_port((0,))
    told = tmp_path / "pgbouncer.ini"
    told.touch(0o600)
    told.write_text(SETTINGS.format(port=port, password=password, listen=listen) + more)
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen([*find_programs().prefix, str(PGBOUNCER), str(told)], stdout=log, stderr=log)
    try:
        assert wait_until(lambda: accepts(f"127.0.0.1:{listen}"), 10), (tmp_path / "log").read_text()
        yield f"postgresql://drill@127.0.0.1:{listen}/drill"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def pooler(timescaledb_lab: Cluster, tmp_path: Path) -> Iterator[str]:
    with pooled(timescaledb_lab, tmp_path) as dsn:
        yield dsn


@pytest.fixture
def with_tls(timescaledb_lab: Cluster, tmp_path: Path) -> Iterator[str]:
    """One that accepts nobody without TLS, with a certificate that nobody has signed."""
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    argv += ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    with pooled(timescaledb_lab, tmp_path, TLS.format(folder=tmp_path)) as dsn:
        yield dsn


@pytest.mark.skipif(PGBOUNCER is None or shutil.which("openssl") is None, reason=f"{NONE}, or no openssl")
def test_tls_where_it_is_required(timescaledb_lab: Cluster, start_drill: StartDrill, with_tls: str) -> None:
    for sslmode, why in (("disable", "SSL required"), ("verify-full", "certificate")):
        with pytest.raises(UsageError, match=f"does not let us in: .*{why}") as caught:
            start_drill(f"{with_tls}?sslmode={sslmode}", timeout_s=20)
        assert "sslmode in the DSN" in caught.value.hint
    drill = start_drill(f"{with_tls}?sslmode=require", read_from="primary", connections=2)
    drill.wait_acked(20)
    assert drill.finish()["failed"] == 0


@pytest.mark.skipif(PGBOUNCER is None, reason=NONE)
@pytest.mark.parametrize("kind", ["ledger", "register"])
def test_a_drill_through_a_pooler_in_transaction_mode(
    timescaledb_lab: Cluster, start_drill: StartDrill, pooler: str, kind: str
) -> None:
    drill = start_drill(f"{pooler}?sslmode=disable", read_from="primary", kind=kind)
    drill.wait_acked(300)
    servers = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'chaosdrills %'"
    assert ask(timescaledb_lab, servers, primary(timescaledb_lab)) <= 3  # type: ignore[operator]
    result = drill.finish()
    assert drill.history.header["pooled"] is True
    assert (result["acked"], result["failed"], result["unknown"]) == (result["sent"], 0, 0)
    written = drill.written(Outcome.OK)
    kept = written if kind == "ledger" else {stream: {max(seqs)} for stream, seqs in written.items() if seqs}
    assert {stream: set(seqs) for stream, seqs in drill.survivors().items() if seqs} == kept
    failed = [check["name"] for check in result["checks"] if not check["ok"]]
    assert failed == ([] if kind == "ledger" else ["loss can be seen"]), result["checks"]


def test_without_one_nothing_is_pooled(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(connections=1)
    drill.finish()
    assert drill.history.header["pooled"] is False
