"""How finely a drill on PostgreSQL sees: the judge's `resolution_s`, by kind of workload, rate and connections.

Run ``python -m benchmarks.timescaledb_resolution [--rounds 3] [--gap 0.05] [--only RATE]``; it starts a lab of its own.
In each round every load of `LOADS` runs by itself for a baseline of 10 s, then the primary's postmaster is killed with
SIGKILL, and once service is clean again the record is judged with `gap_s` 0.05.

The floor is what the definitions allow: `gap_s`, or twice the span between two acknowledgements of one stream, which on
an even schedule is connections / rate. Registers are pooled, so theirs is 1 / rate, of reads as of writes.
"""

import argparse
import json
import os
import statistics
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.faults.node import server_of
from chaosdrills.host.nodes import Cluster, load
from chaosdrills.host.processes import send_signal, this_process, wait_until
from chaosdrills.lab import lifecycle, timescaledb
from chaosdrills.lab.ports import free_pair
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec
from chaosdrills.timescaledb.dsn import Dsn
from chaosdrills.timescaledb.finding import PRIMARY, Client

WORKLOAD = "chaosdrills.timescaledb.workload:TimescaleDBWorkload"
BASELINE_S = 10.0
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Load:
    """One load: registers are read as often as they are written."""

    kind: str
    rate_per_s: int
    connections: int

    @property
    def name(self) -> str:
        """What it is called in the result."""
        return f"{self.kind}, {self.rate_per_s}/s, {self.connections} connections"

    def floor_s(self, gap_s: float) -> float:
        """The least resolution that the definitions allow."""
        return max(gap_s, 2 * (self.connections if self.kind == "ledger" else 1) / self.rate_per_s)


LOADS = (
    Load("ledger", 200, 8),
    Load("ledger", 200, 4),
    Load("ledger", 400, 8),
    Load("ledger", 800, 8),
    Load("ledger", 1600, 8),  # 200/s over each connection
    Load("register", 200, 8),
)


def measured(cluster: Cluster, chosen: Load, gap_s: float) -> dict[str, Any]:
    """What the judge says of one run."""
    dsn = timescaledb.configuration(cluster)["timescaledb_dsn"]
    arguments: dict[str, Any] = {"dsn": dsn, "kind": chosen.kind, "connections": chosen.connections}
    if chosen.kind == "register":
        arguments["reads_per_s"] = chosen.rate_per_s
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as name:
        record = Path(name) / "record"
        spec = ObserverSpec(
            uuid.uuid4().hex[:8], "timescaledb", WORKLOAD, record, arguments, rate_per_s=chosen.rate_per_s, gap_s=gap_s
        )
        session = ObserverSession.start(spec, Path(name), 60)
        try:
            _await_clean(session, BASELINE_S + 1)
            session.mark("fault_begin", "kill -9 of the postmaster")
            _kill_postmaster(Dsn.of(dsn))
            session.mark("fault_end")
            wait_until(lambda: session.snapshot()["clean_s"] < 1, 5)
            _await_clean(session, 7)
            session.finish(10, 120)
        finally:
            session.close()
        found = judge(read_record(record), Limits(rto_s=60), Parameters(gap_s=gap_s)).as_dict()
    return {name: found[name] for name in ("resolution_s", "rto_actual_s", "baseline_per_s")}


def _await_clean(session: ObserverSession, want_s: float) -> None:
    if not wait_until(lambda: session.snapshot()["clean_s"] >= want_s, PATIENCE_S):
        raise SystemExit(f"no {want_s:g} s of clean service: {session.snapshot()}")


def _kill_postmaster(dsn: Dsn) -> None:
    session = Client(dsn, "a benchmark").find(PRIMARY, 10)
    endpoint = session.address
    session.close()
    cluster = load("timescaledb")
    assert cluster is not None
    (node,) = [node for node in cluster.nodes if node.endpoint == endpoint]
    send_signal(server_of(cluster, node, "the primary"), SIGKILL)


def compare(cluster: Cluster, loads: list[Load], rounds: int, gap_s: float) -> list[dict[str, Any]]:
    """All `loads`, in turn, in every round."""
    found: dict[Load, list[dict[str, Any]]] = {chosen: [] for chosen in loads}
    for number in range(rounds):
        for chosen in loads:
            found[chosen].append(measured(cluster, chosen, gap_s))
            print(f"round {number + 1}: {chosen.name}: {found[chosen][-1]}", flush=True)
    return [_together(chosen, runs, gap_s) for chosen, runs in found.items()]


def _together(chosen: Load, runs: list[dict[str, Any]], gap_s: float) -> dict[str, Any]:
    seen = [run["resolution_s"] for run in runs if run["resolution_s"] is not None]
    took = [run["rto_actual_s"] for run in runs if run["rto_actual_s"] is not None]
    return {
        "load": chosen.name,
        "floor_s": chosen.floor_s(gap_s),
        "resolution_s": round(statistics.median(seen), 4) if seen else None,
        "resolutions_s": [round(one, 4) for one in seen],
        "rto_actual_s": [round(one, 3) for one in took],
        "runs": len(runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gap", type=float, default=0.05)
    parser.add_argument("--only", type=int, help="only loads of this rate")
    options = parser.parse_args()
    loads = [one for one in LOADS if options.only in (None, one.rate_per_s)]
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as state:
        os.environ["XDG_STATE_HOME"] = state
        cluster = lifecycle.up("timescaledb", {"base_port": free_pair(41)}, owner=this_process())
        try:
            print(json.dumps(compare(cluster, loads, options.rounds, options.gap), indent=2))
        finally:
            lifecycle.down("timescaledb")


if __name__ == "__main__":
    main()
