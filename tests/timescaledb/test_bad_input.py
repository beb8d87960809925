"""What cannot be used, or gets in a drill's way, on real servers: one clear error each with its next step, or it works.

No secret is shown, and nothing of the user's database is touched.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaosdrills.core.history import Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import DrillError, UnavailableError, UsageError
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import wait_until
from chaosdrills.timescaledb.dsn import Dsn
from tests.timescaledb.alone import Alone
from tests.timescaledb.conftest import Drill, StartDrill
from tests.timescaledb.servers import ask, dsn_of, primary, replica, schemas, session, superuser

pytestmark = pytest.mark.lab

SECRET = "hunter2"
MINE = "chaosdrills_mine"


@dataclass
class Place:
    """What the cases are made of: the lab's endpoint, and the file with the password of its user."""

    lab: Cluster

    @property
    def endpoint(self) -> str:
        return self.lab.endpoint

    @property
    def passfile(self) -> str:
        return Dsn.of(dsn_of(self.lab)).parameters["passfile"]

    def dsn(self, endpoint: str = "", database: str = "drill", more: str = "") -> str:
        return f"postgresql://drill@{endpoint or self.endpoint}/{database}?passfile={self.passfile}{more}"


@dataclass(frozen=True)
class Case:
    """A DSN and other arguments, the error that they end with, and what it tells to do."""

    dsn: Callable[[Place], str]
    kind: type[DrillError]
    why: str
    hint: str
    schema: str = ""
    patroni: str = ""


CASES = {
    "syntax": Case(lambda it: f"postgresql://me:{SECRET}@[no", UsageError, "cannot be understood", "write it as"),
    "port": Case(lambda it: f"postgresql://me:{SECRET}@one:x/", UsageError, "a port in the DSN is no port", "1 to 65"),
    "unknown host": Case(
        lambda it: f"postgresql://me:{SECRET}@no-such-host.invalid/drill",
        UnavailableError,
        "no PostgreSQL server takes writes, 10 s long: no-such-host.invalid:5432 says: could not translate host name",
        "check the addresses in the DSN",
    ),
    "closed port": Case(
        lambda it: f"host=127.0.0.1 port=1 password={SECRET}",
        UnavailableError,
        "takes writes, 10 s long: 127.0.0.1:1 says: Connection refused",
        "check the addresses in the DSN, and that the servers run",
    ),
    "wrong password": Case(
        lambda it: f"postgresql://drill:{SECRET}@{it.endpoint}/drill",
        UsageError,
        "does not let us in: .*password authentication failed",
        "check user, password, database and sslmode",
    ),
    "no password": Case(
        lambda it: f"postgresql://drill@{it.endpoint}/drill",
        UsageError,
        "does not let us in: .*no password supplied",
        "check user, password",
    ),
    "unknown database": Case(
        lambda it: it.dsn(database="nosuch"),
        UsageError,
        'does not let us in: .*"nosuch" does not exist',
        "check user, password, database",
    ),
    "only a replica": Case(
        lambda it: it.dsn(replica(it.lab).endpoint),
        UnavailableError,
        "takes writes, 10 s long: .* is a standby",
        "the primary must be among them",
    ),
    "read-only": Case(
        lambda it: it.dsn(primary(it.lab).endpoint, more="&options=-cdefault_transaction_read_only%3Don"),
        UnavailableError,
        "takes writes, 10 s long: .* is read-only",
        "the primary must be among them",
    ),
    "no right": Case(
        lambda it: f"postgresql://stranger:{SECRET}@{it.endpoint}/drill",
        UsageError,
        "the user stranger may not make a schema in the database drill",
        "have its owner run: GRANT CREATE ON DATABASE drill TO stranger;",
    ),
    "an earlier ledger": Case(
        lambda it: it.dsn(),
        UsageError,
        f"the schema {MINE} is there already: it may hold the ledger of an earlier drill",
        f"DROP SCHEMA {MINE} CASCADE; or name another one (the argument schema)",
        schema=MINE,
    ),
    "TLS that is not spoken": Case(
        lambda it: it.dsn(more="&sslmode=require"),
        UsageError,
        "does not let us in: server does not support SSL",
        "sslmode in the DSN",
    ),
    "Patroni closed": Case(
        lambda it: it.dsn(),
        UnavailableError,
        "no Patroni answers: http://127.0.0.1:1/config says: .*refused",
        "check timescaledb_patroni, and that Patroni runs",
        patroni="http://127.0.0.1:1",
    ),
    "a secret in Patroni's address": Case(
        lambda it: it.dsn(),
        UsageError,
        "an address in timescaledb_patroni holds who we are",
        "give patroni_username and patroni_password among the secrets",
        patroni=f"http://me:{SECRET}@127.0.0.1:1",
    ),
}


@pytest.fixture
def place(timescaledb_lab: Cluster) -> Iterator[Place]:
    """A user who may connect and do nothing else, and a schema of an earlier drill, with something in it."""
    with superuser(timescaledb_lab) as connection:
        connection.execute(f"CREATE ROLE stranger LOGIN PASSWORD '{SECRET}'")
    with session(timescaledb_lab) as connection:
        connection.execute(f"CREATE SCHEMA {MINE}")
        connection.execute(f"CREATE TABLE {MINE}.ledger AS SELECT 'evidence' AS of")
    yield Place(timescaledb_lab)
    with session(timescaledb_lab) as connection:
        connection.execute(f"DROP SCHEMA {MINE} CASCADE")
    with superuser(timescaledb_lab) as connection:
        connection.execute("DROP ROLE stranger")


@pytest.mark.parametrize("name", CASES)
def test_one_clear_error_and_nothing_touched(place: Place, start_drill: StartDrill, tmp_path: Path, name: str) -> None:
    case, before = CASES[name], schemas(place.lab)
    more = {key: value for key, value in (("schema", case.schema), ("patroni", case.patroni)) if value}
    with pytest.raises(case.kind, match=case.why) as caught:
        start_drill(case.dsn(place), timeout_s=20, **more)
    assert case.hint in caught.value.hint
    said = str(caught.value) + (tmp_path / "observer.log").read_text()
    assert SECRET not in said
    assert "Traceback" not in said
    assert schemas(place.lab) == before
    assert ask(place.lab, f"SELECT string_agg(of, ',') FROM {MINE}.ledger") == "evidence"


def test_too_many_connections_are_told_and_leave_no_schema(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    before = schemas(timescaledb_lab)
    with pytest.raises(
        UnavailableError, match=r"only \d+ of 200 connections were made within .*(too many clients|slots are reserved)"
    ) as caught:
        start_drill(connections=200, timeout_s=15)
    assert caught.value.hint == "lower connections, or raise the server's max_connections."
    assert schemas(timescaledb_lab) == before
    assert os.path.exists(Dsn.of(dsn_of(timescaledb_lab)).parameters["passfile"])
    assert ask(timescaledb_lab, "SELECT 1") == 1


def test_timeouts_that_are_meant_for_applications_end_no_read_back(
    timescaledb_lab: Cluster, start_drill: StartDrill
) -> None:
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    drill = start_drill(connections=1, rate_per_s=50)
    drill.wait_acked(20)
    columns = "drill, stream, seq, payload, checksum"
    plant = f"INSERT INTO {drill.schema}.ledger ({columns}) SELECT 'x', 0, 0, repeat('x', 400), 0 "
    with session(timescaledb_lab) as connection:
        connection.execute(plant + "FROM generate_series(1, 300000)")
    with superuser(timescaledb_lab) as connection:
        for name in names:
            connection.execute(f"ALTER ROLE drill SET {name} = '50ms'")
    try:
        result = drill.finish()
    finally:
        with superuser(timescaledb_lab) as connection:
            for name in names:
                connection.execute(f"ALTER ROLE drill RESET {name}")
    assert all(check["ok"] for check in result["checks"]), result["checks"]
    assert result["findings"]["foreign"] == 300_000
    assert drill.survivors()[0] == sorted(drill.written(Outcome.OK)[0])
    assert drill.schema not in schemas(timescaledb_lab)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    (tmp_path / "alone").mkdir()
    server = Alone(tmp_path / "alone")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartDrill]:
    """Starts observers on a server of the test's own."""
    drills: list[Drill] = []

    def started(dsn: str, **more: object) -> Drill:
        drills.append(Drill(dsn, tmp_path, connections=2, read_from="primary", **more))
        return drills[-1]

    yield started
    for drill in drills:
        drill.session.close()


def test_a_server_that_is_still_starting_is_told_and_works_once_it_has(alone: Alone, start: StartDrill) -> None:
    waiting, gate = alone.data / "standby.signal", alone.data / "gate"
    waiting.touch()
    os.mkfifo(gate)
    alone.start(restore_command="cat gate && false", hot_standby="off")
    with pytest.raises(UnavailableError, match=r"10 s long: .* says: FATAL: the database system is starting") as caught:
        start(alone.dsn, timeout_s=20)
    assert caught.value.hint.startswith("check the addresses in the DSN, and that the servers run")
    alone.stop()
    os.close(os.open(gate, os.O_RDWR))  # what waits there ends
    waiting.unlink()
    alone.start()
    alone.make_user()
    drill = start(alone.dsn)
    drill.wait_acked(50)
    assert drill.finish()["failed"] == 0


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MB that is really full when it is."""
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        pytest.skip(f"NO SMALL DISK HERE: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], timeout=20, check=True)


def test_a_full_disk_of_the_server(alone: Alone, start: StartDrill, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as small:
        alone.start()
        alone.make_user()
        with alone.superuser() as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{small}'")
            connection.execute("GRANT CREATE ON TABLESPACE small TO drill")
            connection.execute("ALTER ROLE drill SET default_tablespace = small")
        drill = start(alone.dsn, payload_bytes=2000)
        assert wait_until(lambda: drill.session.snapshot()["failed"] > 100, 60), drill.session.snapshot()
        assert wait_until(lambda: "refused a write: could not extend file" in drill.log, 10), drill.log
        assert drill.log.count("refused a write") < 5, "not once for each"
        with pytest.raises(UnavailableError, match=r"the server says: could not .*No space left") as caught:
            start(alone.dsn)
        assert caught.value.hint == "make room on the server's disk."
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], timeout=20, check=True)
        drill.wait_acked(100)
        result = drill.finish()
        with alone.superuser() as connection:
            left = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chaosdrills%'").fetchall()
        alone.stop()
    assert left == []
    assert all(check["ok"] for check in result["checks"]), result["checks"]
    judged = judge(drill.history, Limits(), Parameters()).as_dict()
    assert (judged["lost"], judged["recovered"], judged["unknown"]) == (0, 0, 0), "a full disk rolls back, and says so"
