"""How long the Kafka lab takes to be of use, with its AOT cache and without, in alternating pairs.

Run ``python benchmarks/lab_start.py [--pairs 5] [--cold] [--networks filtered proxied]``; with networks the lab is
started on each of them instead, beside a plain network, all with the cache. Each start is a process of its own; times
begin before that process does, so Python and its imports are in them. `up`: all brokers are ready. `ack`: besides, a
topic with replication factor 3 was made and its first record acknowledged under acks=all. `memory`: proportional set
size of the three brokers. With ``--cold``, first: fetching the jars and making the AOT cache in an empty cache folder.
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
from chaosdrills.kafka.client import Producer
from chaosdrills.lab import kafka_aot, lifecycle
from chaosdrills.lab.ports import free_pair
from chaosdrills.lab.status import status

TOPIC = "first"


def start_once(begin_s: float, kind: str) -> dict[str, float]:
    """Start a lab, write one record, end the lab; seconds since `begin_s` (time.time) and MiB."""
    from confluent_kafka.admin import AdminClient, NewTopic

    if kind == "plain":
        kafka_aot.with_cache = lambda runtime, *_: runtime  # type: ignore[assignment]
    network = kind if kind in ("filtered", "proxied") else "plain"
    cluster = lifecycle.up("kafka", {"base_port": free_pair(100), "network": network}, owner=this_process())
    try:
        up_s = time.time() - begin_s
        servers = {"bootstrap.servers": cluster.endpoint}
        admin = AdminClient(servers)
        admin.create_topics([NewTopic(TOPIC, 3, 3, config={"min.insync.replicas": "2"})])[TOPIC].result(30)
        producer = Producer({**servers, "acks": "all", "enable.idempotence": True, "linger.ms": 0})
        producer.produce(TOPIC, b"x")
        assert producer.flush(30) == 0
        ack_s = time.time() - begin_s
        memory_mib = sum(node["memory_mib"] for node in status("kafka")["nodes"])
    finally:
        lifecycle.down("kafka")
    return {"up_s": up_s, "ack_s": ack_s, "memory_mib": memory_mib}


def child(*arguments: str, **environment: str) -> dict[str, Any]:
    """The figures that a process of this program prints."""
    argv = [sys.executable, __file__, *arguments]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment})
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def cold() -> dict[str, float]:
    """Seconds to fetch and make everything, as a user's first `lab prepare kafka` does."""
    begin = time.time()
    steps: list[tuple[str, float]] = []
    lifecycle.prepare("kafka", lambda line: steps.append((line, time.time() - begin)))
    whole_s = time.time() - begin
    training_s = next(at for line, at in steps if line.startswith("training"))
    return {"jars_s": training_s, "aot_s": whole_s - training_s}


def main() -> None:
    """Parse, run, print the medians and every single value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--networks", nargs="*", choices=["filtered", "proxied"])
    parser.add_argument("--child", choices=["aot", "plain", "filtered", "proxied", "cold"], help=argparse.SUPPRESS)
    parser.add_argument("--begin", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        figures = cold() if options.child == "cold" else start_once(options.begin, options.child)
        print(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.cold:
            found = child("--child", "cold", XDG_CACHE_HOME=f"{folder}/cache", XDG_STATE_HOME=f"{folder}/cold")
            print(f"cold: jars {found['jars_s']:.1f} s, AOT cache {found['aot_s']:.1f} s")
        compare(options.pairs, ["aot", *(options.networks or ["plain"])], folder)


def compare(pairs: int, kinds: list[str], folder: str) -> None:
    """Alternate `pairs` starts of each kind and print their figures."""
    lifecycle.prepare("kafka")
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(pairs):
        for kind, figures in found.items():
            figures.append(child("--child", kind, "--begin", str(time.time()), XDG_STATE_HOME=f"{folder}/state"))
    for kind, figures in found.items():
        for name in ("up_s", "ack_s", "memory_mib"):
            values = [one[name] for one in figures]
            single = ", ".join(f"{value:.1f}" for value in values)
            print(f"{kind:<6} {name:<11} median {statistics.median(values):6.1f}   of {single}")


if __name__ == "__main__":
    main()
