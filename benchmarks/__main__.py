"""All benchmarks, one after another: `python -m benchmarks`. Needs about half an hour and a quiet machine."""

import subprocess
import sys

MODULES = (
    "record",
    "judge",
    "fuzz",
    "lab_start",
    "observer_pacing",
    "kafka_ledger",
    "timescaledb_ledger",
    "timescaledb_resolution",
    "redis_ledger",
    "redis_lab",
    "endurance",
)


def main() -> int:
    failed = 0
    for module in MODULES:
        print(f"== {module}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{module}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
