"""How long the Redis lab takes to be of use, on each kind of network and with each of its options, in turns.

Run ``python -m benchmarks.redis_lab [--rounds 5] [--kinds plain acl filtered proxied tls]``. Each start is a process of
its own; times begin before that process does, so Python and its imports are in them. `up`: all nodes are ready. `ack`:
besides, the primary was found through Sentinel, and a first write acknowledged by both replicas. `memory`: proportional
set size of all six nodes. The server is that of the wheel, or the one that CHAOSDRILLS_REDIS_SERVER names; tls needs
one that is built with it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle, redis
from chaosdrills.lab.ports import free_pair
from chaosdrills.lab.redis_listeners import HIGHEST_OFFSET
from chaosdrills.lab.status import status

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "acl": {"acl": True},
    "filtered": {"network": "filtered"},
    "proxied": {"network": "proxied"},
    "tls": {"tls": True},
}
ACK_S = 10.0


def start_once(begin_s: float, kind: str) -> dict[str, float]:
    """Start a lab, write once, end the lab; seconds since `begin_s` (time.time) and MiB."""
    cluster = lifecycle.up("redis", {"base_port": free_pair(HIGHEST_OFFSET), **KINDS[kind]}, owner=this_process())
    try:
        up_s = time.time() - begin_s
        from chaosdrills.redis.way import way_of

        session = way_of(redis.configuration(cluster), None).find("primary", ACK_S)
        written = session.do_all([("SET", "chaosdrills:first", "x"), ("WAIT", 2, int(ACK_S * 1000))], ACK_S)
        assert written == [b"OK", 2], written
        ack_s = time.time() - begin_s
        memory_mib = sum(node["memory_mib"] for node in status("redis")["nodes"])
    finally:
        lifecycle.down("redis")
    return {"up_s": up_s, "ack_s": ack_s, "memory_mib": memory_mib}


def child(kind: str, folder: str) -> dict[str, float]:
    """The figures of one start in a process of its own."""
    argv = [sys.executable, "-m", "benchmarks.redis_lab", "--child", kind, "--begin", str(time.time())]
    env = {**os.environ, "XDG_STATE_HOME": f"{folder}/state"}
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, env=env)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Parse, run, print the medians and every single value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=["plain", "acl", "proxied"])
    parser.add_argument("--child", choices=list(KINDS), help=argparse.SUPPRESS)
    parser.add_argument("--begin", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(start_once(options.begin, options.child)))
        return
    lifecycle.prepare("redis", print)
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in options.kinds}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for kind, figures in found.items():
                figures.append(child(kind, folder))
    for kind, figures in found.items():
        for name in ("up_s", "ack_s", "memory_mib"):
            values = [one[name] for one in figures]
            single = ", ".join(f"{value:.1f}" for value in values)
            print(f"{kind:<8} {name:<11} median {statistics.median(values):6.1f}   of {single}")


if __name__ == "__main__":
    main()
