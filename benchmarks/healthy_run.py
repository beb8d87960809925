"""Record a healthy run on the lab, to see whether the judge takes noise for an outage.

    python -m benchmarks.healthy_run [--seconds 600] [--output tests/data/healthy-kafka.record.xz]

`tests/core/test_healthy.py` judges what is kept there, with a harmless fault planted at many instants.
"""

import argparse
import lzma
import tempfile
import time
from pathlib import Path

from chaosdrills.lab import lifecycle
from chaosdrills.observe.session import ObserverSession, ObserverSpec


def record(seconds: float, folder: Path, endpoint: str) -> Path:
    """Observe the lab for `seconds` without harming it; returns the record."""
    path = folder / "record"
    arguments = {"bootstrap_servers": endpoint}
    spec = ObserverSpec("healthy", "kafka", "chaosdrills.kafka.workload:KafkaWorkload", path, arguments)
    session = ObserverSession.start(spec, folder, 60)
    try:
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(10, left_s))
            figures = session.snapshot()
            print(f"{figures['elapsed_s']:.0f} s: {figures['per_s']:.0f} acks/s, lateness {figures['lateness']}")
        session.finish(30, 60)
    finally:
        session.close()
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--output", type=Path, default=Path("tests/data/healthy-kafka.record.xz"))
    options = parser.parse_args()
    cluster = lifecycle.up("kafka", progress=print)
    try:
        with tempfile.TemporaryDirectory() as folder:
            content = record(options.seconds, Path(folder), cluster.endpoint).read_bytes()
    finally:
        lifecycle.down("kafka")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    print(f"{options.output}: {len(content):,} bytes, {options.output.stat().st_size:,} compressed")


if __name__ == "__main__":
    main()
