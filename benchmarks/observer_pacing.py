"""What an observer of Kafka costs and how punctual it is: 1,000 operations a second, and memory after an hour's worth.

Run ``python benchmarks/observer_pacing.py [--rate 1000] [--seconds 60] [--operations 3600000] [--bootstrap ...]``;
without an address it starts a lab of its own.

- `paced`: open loop at the rate, the reader beside it. Lateness is of sending, after the intended time; `cpu_share` the
  processor time of the whole process, in cores, over the measured span; `rss_mib` its resident memory at the end.
- `hour`: at full rate until that many operations were acknowledged: `rss_mib` then, and `peak_rss_mib` (VmHWM).
"""

import argparse
import json
import os
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from chaosdrills.host.processes import this_process, wait_until
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.lab import lifecycle
from chaosdrills.lab.ports import free_pair
from chaosdrills.observe.session import ObserverSession, ObserverSpec

WARM_S = 3.0
DEADLINE_S = 900


def cpu_s(pid: int) -> float:
    """Processor time (s) that the process `pid` has used."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    fields = stat[stat.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, field: str) -> float:
    """A field of /proc/PID/status in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def observe(bootstrap: str, folder: Path, rate_per_s: float) -> ObserverSession:
    """An observer at this rate (0: full), ready."""
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    arguments = {"bootstrap_servers": bootstrap}
    workload = "chaosdrills.kafka.workload:KafkaWorkload"
    spec = ObserverSpec(name, "kafka", workload, folder / name, arguments, rate_per_s)
    return ObserverSession.start(spec, folder, 60)


def end(session: ObserverSession, bootstrap: str) -> None:
    """End an observer and remove its topic."""
    try:
        session.abort()
    finally:
        session.close()
    Admin(Connection(bootstrap)).delete_topic(session.ready["topic"], 30)


def measure_paced(bootstrap: str, folder: Path, rate_per_s: float, seconds: float) -> dict[str, Any]:
    """Lateness, processor and memory at a rate."""
    session = observe(bootstrap, folder, rate_per_s)
    pid = session.identity.pid
    time.sleep(WARM_S)
    begin_s, cpu_begin_s, before = time.monotonic(), cpu_s(pid), session.snapshot()
    time.sleep(seconds)
    after, spent_s, passed_s = session.snapshot(), cpu_s(pid) - cpu_begin_s, time.monotonic() - begin_s
    rss_mib = memory_mib(pid, "VmRSS")
    end(session, bootstrap)
    return {
        "acked_per_s": round((after["acked"] - before["acked"]) / passed_s, 1),
        **{f"lateness_{name}": after["lateness"][name] for name in ("p50_ms", "p99_ms", "max_ms")},
        "cpu_share": round(spent_s / passed_s, 3),
        "rss_mib": round(rss_mib, 1),
    }


def measure_hour(bootstrap: str, folder: Path, operations: int) -> dict[str, Any]:
    """Memory after that many operations at full rate."""
    session = observe(bootstrap, folder, 0)
    pid = session.identity.pid
    if not wait_until(lambda: session.snapshot()["acked"] >= operations, DEADLINE_S, 0.5):
        raise SystemExit(f"{operations:,} operations were not acknowledged within {DEADLINE_S} s")
    found = {
        "operations": session.snapshot()["acked"],
        "rss_mib": round(memory_mib(pid, "VmRSS"), 1),
        "peak_rss_mib": round(memory_mib(pid, "VmHWM"), 1),
    }
    end(session, bootstrap)
    return found


def measure(bootstrap: str, options: argparse.Namespace) -> dict[str, Any]:
    """Both measurements."""
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as name:
        paced = measure_paced(bootstrap, Path(name), options.rate, options.seconds)
        return {"paced": paced, "hour": measure_hour(bootstrap, Path(name), options.operations)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--operations", type=int, default=3_600_000)
    parser.add_argument("--bootstrap", default="")
    options = parser.parse_args()
    if options.bootstrap:
        print(json.dumps(measure(options.bootstrap, options), indent=2))
        return
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as state:
        os.environ["XDG_STATE_HOME"] = state
        cluster = lifecycle.up("kafka", {"base_port": free_pair(100)}, owner=this_process())
        try:
            print(json.dumps(measure(cluster.endpoint, options), indent=2))
        finally:
            lifecycle.down("kafka")


if __name__ == "__main__":
    main()
