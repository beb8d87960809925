"""What the PostgreSQL ledger costs: acknowledged inserts a second at full rate, beside pgbench with the same insert.

Run ``python -m benchmarks.timescaledb_ledger [--rounds 5] [--seconds 8] [--connections 8] [--async]``; it starts a lab
of its own, with synchronous replication unless ``--async``. Each round measures, the order turning with every round:

- `ledger`: the observer, whole, with a connection a stream. No reader beside it, since pgbench has none.
- `simple`, `prepared`: pgbench of the same PostgreSQL with as many clients in one thread, the same insert into a table
  of the same shape, by the simple protocol (its default) and with prepared statements.

A rate of the observer is what was acknowledged between two instants while the load runs. At the end the observer is
paced at 1,000 inserts a second, and how late it sent them is shown, then the same with upserts of registers; and what
the lab took of memory.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from typing import Any

from benchmarks.observing import acked_per_s, in_turn, lateness, medians, observed, ratios
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle, timescaledb
from chaosdrills.lab.ports import free_pair
from chaosdrills.lab.postgresql_programs import find_programs
from chaosdrills.lab.status import status
from chaosdrills.observe.session import ObserverSession
from chaosdrills.timescaledb import ledger
from chaosdrills.timescaledb.dsn import Dsn
from chaosdrills.timescaledb.finding import PRIMARY, Client

WARM_S = 2.0
WORKLOAD = "chaosdrills.timescaledb.workload:TimescaleDBWorkload"
PGBENCH = ("simple", "prepared")
PACED_PER_S = 1_000.0


class Bench:
    """Measurements on one lab."""

    def __init__(self, cluster: Cluster, seconds: float, connections: int) -> None:
        self._dsn = timescaledb.configuration(cluster)["timescaledb_dsn"]
        self._seconds = seconds
        self._connections = connections

    def measure(self, kind: str) -> float:
        """Inserts a second: of an observer at full rate, or of pgbench."""
        if kind == "ledger":
            return float(self._observe(0, lambda session: acked_per_s(session, self._seconds)))
        return self.pgbench(kind)

    def paced(self, kind: str = "ledger") -> dict[str, Any]:
        """How late an observer is at 1,000 writes a second."""
        found: dict[str, Any] = self._observe(PACED_PER_S, lambda session: lateness(session, self._seconds), kind)
        return found

    def pgbench(self, mode: str) -> float:
        """Transactions a second of pgbench."""
        dsn = Dsn.of(self._dsn)
        schema = f"pgbench_{uuid.uuid4().hex[:8]}"
        session = Client(dsn, "a benchmark").find(PRIMARY, 10)
        try:
            ledger.make_schema(session, schema)
            ledger.make_table(session, schema)
            host, _, port = session.address.rpartition(":")
            insert = ledger.insert_of(schema, "0" * 8, 0, 100).replace("$1", ":seq").replace("$2", "1234567890")
            return self._run_pgbench(mode, insert, ["-h", host, "-p", port, "-U", dsn.parameters["user"]])
        finally:
            ledger.drop(session, schema, 30)
            session.close()

    def _run_pgbench(self, mode: str, insert: str, where: list[str]) -> float:
        dsn = Dsn.of(self._dsn)
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(f"\\set seq random(1, 1000000000)\n{insert};\n")
            script.flush()
            argv = [
                str(find_programs().bindir / "pgbench"), *where, "-n", "-M", mode, "-f", script.name,
                "-c", str(self._connections), "-j", "1", "-T", str(round(self._seconds)), dsn.parameters["dbname"],
            ]  # fmt: skip
            env = {**os.environ, "PGPASSFILE": dsn.parameters["passfile"]}
            done = subprocess.run(argv, capture_output=True, text=True, check=True, env=env)
        return float(re.findall(r"tps = ([0-9.]+)", done.stdout)[-1])

    def _observe(self, rate_per_s: float, look: Callable[[ObserverSession], Any], kind: str = "ledger") -> Any:
        given = {"dsn": self._dsn, "connections": self._connections, "kind": kind, "read_from": "nothing"}
        most = self._connections * 32
        return observed("timescaledb", WORKLOAD, given, look, rate_per_s=rate_per_s, max_in_flight=most, warm_s=WARM_S)


def compare(bench: Bench, rounds: int) -> dict[str, Any]:
    """Rates and ratios over all rounds."""
    rates = in_turn(("ledger", *PGBENCH), rounds, bench.measure, "inserts")
    result: dict[str, Any] = dict(medians(rates))
    for kind in PGBENCH:
        result |= ratios(rates, "ledger", kind)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--async", dest="asynchronous", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as state:
        os.environ["XDG_STATE_HOME"] = state
        asked = {"base_port": free_pair(41), "patroni": {"synchronous_mode": not options.asynchronous}}
        begun = time.monotonic()
        cluster = lifecycle.up("timescaledb", asked, owner=this_process())
        try:
            result: dict[str, Any] = {"lab_up_s": round(time.monotonic() - begun, 1)}
            result["lab_mib"] = sum(node["memory_mib"] or 0 for node in status("timescaledb")["nodes"])
            bench = Bench(cluster, options.seconds, options.connections)
            result |= {**compare(bench, options.rounds), "paced_1000_per_s": bench.paced()}
            result["registers_paced_1000_per_s"] = bench.paced("register")
            print(json.dumps(result, indent=2))
        finally:
            lifecycle.down("timescaledb")


if __name__ == "__main__":
    main()
