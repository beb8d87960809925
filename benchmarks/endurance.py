"""Endurance of the observer: does its memory stay flat, its sending punctual, and is its record judged quickly?

    python -m benchmarks.endurance [--seconds 30] [--full-seconds 10] [--rate 1000] [--partitions 12 100]
                                   [--payload-bytes 100 10240 102400] [--bootstrap HOST:PORT]

For figures that are quoted: ``--seconds 1800 --full-seconds 120``. Without an address it starts a lab of its own. Runs,
one after another: at the rate for each number of partitions, with the smallest payload; for each larger payload at the
rate that makes at most 10 MB/s (three replicas must find room), with the first number of partitions; and at full rate
for each number of partitions, with the smallest payload. Every run ends with a whole read-back and a judgement.

- `rss`: the observer's resident memory (MiB) after the first tenth, at its largest, and at the end of load; `slope` its
  growth over the second half, MiB a minute.
- `late`: p50, p99 and maximum of sending after the intended time, over all; `early p99` that of the first tenth alone.
- `behind`: operations that were due since the first tenth and not sent at the end of load: drift would grow it.
- `read back` and `judge`: seconds; `lost` must be 0.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.observer_pacing import cpu_s, memory_mib
from chaosdrills.core.judge import Limits, judge
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle
from chaosdrills.lab.ports import free_pair
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec

MOST_BYTES_PER_S = 10_000_000
SAMPLES = 60
READ_BACK_S = 1800
WORKLOAD = "chaosdrills.kafka.workload:KafkaWorkload"


@dataclass(frozen=True)
class Sample:
    """The observer at `at_s` seconds of load."""

    at_s: float
    rss_mib: float
    figures: dict[str, Any]


def runs(options: argparse.Namespace) -> list[tuple[float, float, int, int]]:
    """(seconds, rate or 0 for full, partitions, payload bytes) of every run."""
    smallest, *larger = sorted(options.payload_bytes)
    first = options.partitions[0]
    paced = [(options.seconds, options.rate, partitions, smallest) for partitions in options.partitions]
    paced += [(options.seconds, min(options.rate, MOST_BYTES_PER_S / size), first, size) for size in larger]
    return [*paced, *((options.full_seconds, 0.0, partitions, smallest) for partitions in options.partitions)]


def watch(session: ObserverSession, seconds: float) -> list[Sample]:
    """Samples over `seconds` of load, evenly."""
    pid, begun, samples = session.identity.pid, time.monotonic(), []
    for number in range(1, SAMPLES + 1):
        time.sleep(max(0.0, begun + number * seconds / SAMPLES - time.monotonic()))
        samples.append(Sample(time.monotonic() - begun, memory_mib(pid, "VmRSS"), session.snapshot()))
    return samples


def measure(bootstrap: str, folder: Path, seconds: float, rate: float, partitions: int, size: int) -> dict[str, Any]:
    """One run."""
    name = f"endurance-{uuid.uuid4().hex[:8]}"
    arguments = {"bootstrap_servers": bootstrap, "partitions": partitions, "payload_bytes": size}
    path = folder / name
    session = ObserverSession.start(ObserverSpec(name, "kafka", WORKLOAD, path, arguments, rate), folder, 120)
    try:
        spent_s = cpu_s(session.identity.pid)
        samples = watch(session, seconds)
        spent_s = cpu_s(session.identity.pid) - spent_s
        begun = time.monotonic()
        session.finish(60, READ_BACK_S)
        read_back_s = time.monotonic() - begun
    finally:
        session.close()
    found = {"rate": rate or "full", "partitions": partitions, "payload_bytes": size, "seconds": seconds}
    found |= {**described(samples, rate), "cpu": round(spent_s / samples[-1].at_s, 3)}
    found |= {"read_back_s": round(read_back_s, 1), **judged(path)}
    path.unlink()
    return found


def described(samples: list[Sample], rate: float) -> dict[str, Any]:
    """What the samples say of memory and punctuality."""
    early, last, later = samples[len(samples) // 10], samples[-1], samples[len(samples) // 2 :]
    slope = statistics.linear_regression([it.at_s for it in later], [it.rss_mib for it in later]).slope
    sent = last.figures["sent"] - early.figures["sent"]
    late = last.figures["lateness"]
    return {
        "acked_per_s": round((last.figures["acked"] - early.figures["acked"]) / (last.at_s - early.at_s)),
        "rss_mib": [round(it, 1) for it in (early.rss_mib, max(it.rss_mib for it in samples), last.rss_mib)],
        "slope_mib_per_min": round(slope * 60, 2),
        "late_ms": [late["p50_ms"], late["p99_ms"], late["max_ms"]],
        "early_p99_ms": early.figures["lateness"]["p99_ms"],
        "behind": round(rate * (last.at_s - early.at_s) - sent) if rate else None,
    }


def judged(path: Path) -> dict[str, Any]:
    """How long it takes to read the record and to judge it, and what is lost."""
    begun = time.monotonic()
    judgement = judge(read_record(path), Limits(600, 900, 0))
    figures = judgement.as_dict()
    return {
        "judge_s": round(time.monotonic() - begun, 2),
        "record_mib": round(path.stat().st_size / (1 << 20), 1),
        **{name: figures[name] for name in ("attempted", "acknowledged", "lost")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--full-seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--partitions", type=int, nargs="+", default=[12, 100])
    parser.add_argument("--payload-bytes", type=int, nargs="+", default=[100, 10_240, 102_400])
    parser.add_argument("--bootstrap", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as state:
        bootstrap = options.bootstrap
        if not bootstrap:
            os.environ["XDG_STATE_HOME"] = state
            bootstrap = lifecycle.up("kafka", {"base_port": free_pair(100)}, owner=this_process()).endpoint
        try:
            for run in runs(options):
                print(json.dumps(measure(bootstrap, Path(state), *run)), flush=True)
        finally:
            if not options.bootstrap:
                lifecycle.down("kafka")


if __name__ == "__main__":
    main()
