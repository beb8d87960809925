"""What the Redis ledger costs: acknowledged SETs a second at full rate, beside redis-benchmark with the same SET.

Run ``python -m benchmarks.redis_ledger [--rounds 5] [--seconds 5] [--connections 50]``; it starts a lab of its own, and
needs redis-benchmark or valkey-benchmark (Debian: ``apt-get install redis-tools``). Each round measures, the order
turning with every round:

- `ledger`: the observer, whole, with a connection a stream and one write at a time on each (``pipeline`` 1), that is
  without pipelining. No reader beside it, since redis-benchmark has none; 50 connections are its own default.
- `benchmark`: redis-benchmark with as many clients in one thread, SET of as many bytes on random keys, no pipelining.
- `limit`: what Python can do at all: as many sockets, each with one SET in flight, which is made once and sent over and
  over, and whose answer is not looked at: two system calls and a poll a write, and no work.
- `pipelined`, `benchmark_pipelined`: the first two with 32 writes in flight on each connection, as drills have it.

A rate of the observer is what was acknowledged between two instants while the load runs. At the end the observer is
paced at 1,000 writes a second, and how late it sent them is shown, then the same with registers; how long the lab took
to start, and its memory.
"""

import argparse
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks.observing import acked_per_s, in_turn, lateness, medians, observed, ratios
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle, redis
from chaosdrills.lab.ports import free_pair
from chaosdrills.lab.status import status
from chaosdrills.observe.session import ObserverSession
from chaosdrills.redis.client import joined
from chaosdrills.redis.finding import PRIMARY, Client
from chaosdrills.redis.url import RedisUrl

WARM_S = 1.0
WORKLOAD = "chaosdrills.redis.workload:RedisWorkload"
PACED_PER_S = 1_000.0
VALUE_BYTES = 120  # of a ledger with payloads of 100: seq, checksum and spaces are in it
DEPTH = 32
KINDS = ("ledger", "benchmark", "limit", "pipelined", "benchmark_pipelined")
PROGRAMS = ("valkey-benchmark", "redis-benchmark")


class Bench:
    """Measurements on one lab."""

    def __init__(self, cluster: Cluster, seconds: float, connections: int, program: str) -> None:
        self._url = redis.configuration(cluster)["redis_url"]
        self._seconds = seconds
        self._connections = connections
        self._program = program

    def measure(self, kind: str) -> float:
        """Writes a second of one of `KINDS`."""
        if kind == "limit":
            return self._limit()
        if kind in ("ledger", "pipelined"):
            depth = 1 if kind == "ledger" else DEPTH
            return float(self._observe(0, lambda session: acked_per_s(session, self._seconds), pipeline=depth))
        return self._benchmark(1 if kind == "benchmark" else DEPTH)

    def paced(self, kind: str) -> dict[str, Any]:
        """How late an observer is at 1,000 writes a second."""
        found: dict[str, Any] = self._observe(PACED_PER_S, lambda session: lateness(session, self._seconds), kind=kind)
        return found

    def _benchmark(self, depth: int) -> float:
        host, port = self._primary()
        count = 60_000 * depth
        argv = [
            self._program, "-h", host, "-p", str(port), "-t", "set", "-c", str(self._connections), "-P", str(depth),
            "-n", str(count), "-r", "1000000", "-d", str(VALUE_BYTES), "--csv",
        ]  # fmt: skip
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith('"SET"'))
        self._flush()
        return float(line.split(",")[1].strip('"'))

    def _limit(self) -> float:
        host, port = self._primary()
        command, poll = joined(("SET", "limit", "x" * VALUE_BYTES)), select.poll()
        sockets = {}
        for _ in range(self._connections):
            one = socket.create_connection((host, port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets[one.fileno()] = one
            poll.register(one, select.POLLIN)
            one.send(command)
        count, end = 0, time.monotonic() + self._seconds
        while time.monotonic() < end:
            for descriptor, _ in poll.poll(100):
                sockets[descriptor].recv(4096)
                sockets[descriptor].send(command)
                count += 1
        for one in sockets.values():
            one.close()
        self._flush()
        return count / self._seconds

    def _primary(self) -> tuple[str, int]:
        session = Client(RedisUrl.of(self._url), "a benchmark").find(PRIMARY, 10)
        session.close()
        host, _, port = session.address.rpartition(":")
        return host, int(port)

    def _flush(self) -> None:
        """Every measurement begins with an empty lab."""
        session = Client(RedisUrl.of(self._url), "a benchmark").find(PRIMARY, 10)
        session.do("FLUSHALL", timeout_s=30)
        session.close()

    def _observe(self, rate_per_s: float, look: Callable[[ObserverSession], Any], **arguments: Any) -> Any:
        given = {"url": self._url, "connections": self._connections, "read_from": "nothing", **arguments}
        most = self._connections * given.get("pipeline", DEPTH)
        return observed("redis", WORKLOAD, given, look, rate_per_s=rate_per_s, max_in_flight=most, warm_s=WARM_S)


def compare(bench: Bench, rounds: int) -> dict[str, Any]:
    """Rates and ratios over all rounds."""
    rates = in_turn(KINDS, rounds, bench.measure, "writes")
    pairs = ("ledger", "benchmark"), ("ledger", "limit"), ("pipelined", "benchmark_pipelined")
    result: dict[str, Any] = dict(medians(rates))
    for ours, theirs in pairs:
        result |= ratios(rates, ours, theirs)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=50)
    options = parser.parse_args()
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), "")
    if not program:
        print("Error: there is no redis-benchmark here.\nTry: apt-get install redis-tools", file=sys.stderr)
        return 69
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as state:
        os.environ["XDG_STATE_HOME"] = state
        begun = time.monotonic()
        cluster = lifecycle.up("redis", {"base_port": free_pair(72)}, owner=this_process())
        try:
            result: dict[str, Any] = {"lab_up_s": round(time.monotonic() - begun, 2)}
            result["lab_mib"] = sum(node["memory_mib"] or 0 for node in status("redis")["nodes"])
            bench = Bench(cluster, options.seconds, options.connections, program)
            result |= compare(bench, options.rounds)
            result |= {f"{kind}_paced_1000_per_s": bench.paced(kind) for kind in ("ledger", "register")}
            print(json.dumps(result, indent=2))
        finally:
            lifecycle.down("redis")
    return 0


if __name__ == "__main__":
    sys.exit(main())
