"""Judging and reporting a million operations: seconds and peak memory, each in a process of its own.

python -m benchmarks.judge [--operations 1000000] [--repeat 5] [--registers]

With ``--registers`` it is half an hour of registers: 1,800,000 writes over 8 lanes, each with a new one every second.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from chaosdrills.core.history import NS
from chaosdrills.observe.record import Kind, RecordWriter

STREAMS = 12
LANES = 8
REGISTER_OPERATIONS = 1_800_000


def write_registers(path: Path, operations: int) -> None:
    """The same of registers that are retired after a second, and read 20 times a second."""
    number = np.arange(operations, dtype=np.int64)
    invoked = number * (NS // 1000)
    register = invoked // NS * LANES + number % LANES
    of_each = np.bincount(register)
    order = np.argsort(register, kind="stable")
    seq = np.empty(operations, np.int64)
    seq[order] = number - np.repeat(np.cumsum(of_each) - of_each, of_each)
    fault, end = int(invoked[operations // 2]), int(invoked[-1])
    dead = (invoked >= fault) & (invoked < fault + 9 * NS)
    rows = np.stack([register, seq, invoked, invoked + NS // 500, np.where(dead, 1, 0)], axis=1)
    writer = RecordWriter.create(
        path, service="timescaledb", stream_kind="register", started_at="2026-11-23T08:00:00Z", origin_ns=0
    )
    for name in range(len(of_each)):
        writer.new_stream(str(name))
    for chunk in np.array_split(rows, max(1, operations // 1000)):
        writer.many(Kind.WRITE, chunk)
    writer.many(Kind.READ, rows[::50])
    for name, at in (("fault_begin", fault), ("fault_end", fault + NS // 10), ("load_end", end)):
        writer.mark(name, at, "benchmark")
    last = np.where(dead, -1, seq)
    newest = np.full(len(of_each), -1)
    np.maximum.at(newest, register, last)
    for number_of, survivor in enumerate(newest.tolist()):
        writer.final(number_of, end + 60 * NS, np.array([survivor] if survivor >= 0 else [], np.int64))
    writer.end(end + 61 * NS)
    writer.close()


def write_record(path: Path, operations: int) -> None:
    """A drill of 12 partitions at 1,000/s with an outage of 9 s in the middle, a reader, and whole read-backs."""
    invoked = np.arange(operations, dtype=np.int64) * (NS // 1000)
    stream, seq = np.arange(operations) % STREAMS, np.arange(operations) // STREAMS
    latency = np.random.default_rng(1).integers(NS // 1000, NS // 200, operations)
    fault = int(invoked[operations // 2])
    dead = (invoked >= fault) & (invoked < fault + 9 * NS)
    completed = np.where(dead, fault + 9 * NS, invoked) + latency
    end = int(invoked[-1])
    writer = RecordWriter.create(
        path, service="kafka", stream_kind="log", started_at="2026-11-23T08:00:00Z", origin_ns=0, extra={}
    )
    for number in range(STREAMS):
        writer.stream(str(number))
    rows = np.stack([stream, seq, invoked, completed, np.zeros(operations, np.int64)], axis=1)
    reads = rows[::50].copy()
    reads[:, 3] += NS // 500
    for chunk in np.array_split(rows, max(1, operations // 1000)):
        writer.many(Kind.WRITE, chunk)
    for chunk in np.array_split(reads, max(1, operations // 50_000)):
        writer.many(Kind.READ, chunk)
    for name, at in (("fault_begin", fault), ("fault_end", fault + NS // 10), ("load_end", end)):
        writer.mark(name, at, "benchmark")
    for number in range(STREAMS):
        writer.final(number, end + 60 * NS, seq[stream == number])
    writer.end(end + 61 * NS)
    writer.close()


def measure(what: str, folder: Path) -> dict[str, float]:
    """One measurement, in this process: seconds on the clock, and its peak memory (MiB)."""
    from chaosdrills.core.judge import Limits, judge
    from chaosdrills.observe.reading import read_record

    begun = time.perf_counter()
    history = read_record(folder / "record")
    judgement = judge(history, Limits(600, 900, 0, fresh=history.stream_kind == "log"))
    if what == "report":
        from chaosdrills.core.summary import Drill, summarise
        from chaosdrills.report.folder import write_report

        drill = Drill("benchmark", "kafka", "fault", "A million operations", "2026-11-23T08:00:00Z")
        begun = time.perf_counter()
        write_report(folder, summarise(drill, judgement), judgement.as_dict(), history)
    seconds = time.perf_counter() - begun
    return {"s": seconds, "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--registers", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FOLDER"))
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.registers:
            begun = time.perf_counter()
            write_registers(Path(folder) / "record", REGISTER_OPERATIONS)
            recorded_s = time.perf_counter() - begun
            print(f"{REGISTER_OPERATIONS:,} writes to registers, recorded in {recorded_s:.1f} s; medians of")
        else:
            write_record(Path(folder) / "record", options.operations)
            print(
                f"{options.operations:,} writes, {options.operations // 50:,} reads, {STREAMS} partitions; medians of"
            )
        for what in ("judge", "report"):
            argv = [sys.executable, "-m", "benchmarks.judge", "--measure", what, folder]
            runs = [json.loads(subprocess.check_output(argv)) for _ in range(options.repeat)]
            seconds, memory = (statistics.median(run[unit] for run in runs) for unit in ("s", "MiB"))
            print(f"{what:<7} {seconds:6.2f} s  {memory:6.0f} MiB")


if __name__ == "__main__":
    main()
