"""What the record costs: an append, opening and checking it, its form as lines.

Run ``python benchmarks/record.py [--operations 1000000] [--rounds 5]``. Prints medians of the rounds. Each figure is
taken in a process of its own, so that `peak` is the memory of that step alone (VmHWM), interpreter and numpy included.
An append is timed with its loop, arguments and block writes, less the same loop without the call.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chaosdrills.core.exchange import format_lines
from chaosdrills.core.history import Outcome
from chaosdrills.observe.reading import open_history, read_record
from chaosdrills.observe.record import RecordWriter
from chaosdrills.observe.slots import Kind

STREAMS = 12
PAGE = 1000
ORIGIN_NS = 10**12
OK = int(Outcome.OK)

Seconds = npt.NDArray[np.float64]


def now() -> Seconds:
    """Seconds, float64[2]: on the clock, and of this process on a processor (which a busy machine does not stretch)."""
    return np.array([time.perf_counter(), time.process_time()])


def new_record(path: Path) -> tuple[RecordWriter, list[int]]:
    """An empty record and its streams."""
    path.unlink(missing_ok=True)
    writer = RecordWriter.create(
        path, service="kafka", stream_kind="log", started_at="2026-11-23T08:00:00Z", origin_ns=ORIGIN_NS
    )
    return writer, [writer.stream(str(name)) for name in range(STREAMS)]


def many(operations: int, path: Path) -> Seconds:
    """Seconds to append as many writes from pages of `PAGE`, and write them out."""
    writer, _ = new_record(path)
    n = np.arange(operations)
    at = ORIGIN_NS + n * 1_000_000
    rows = np.stack([n % STREAMS, n // STREAMS, at, at + 4_000_123, np.full(operations, OK)], axis=1)
    begin = now()
    for first in range(0, operations, PAGE):
        writer.many(Kind.WRITE, rows[first : first + PAGE])
    writer.flush()
    taken = now() - begin
    writer.close()
    return taken


def append(operations: int, path: Path) -> Seconds:
    """Seconds to append `operations` writes one by one and write them out, less the bare loop's."""
    writer, streams = new_record(path)
    writes = writer.writes
    begin = now()
    for n in range(operations):
        at = ORIGIN_NS + n * 1_000_000
        writes(streams[n % STREAMS], n // STREAMS, at, at + 4_000_123, OK)
    writer.flush()
    middle = now()
    for n in range(operations):
        at = ORIGIN_NS + n * 1_000_000
        (streams[n % STREAMS], n // STREAMS, at, at + 4_000_123, OK)
    end = now()
    writer.end(ORIGIN_NS + operations * 1_000_000)
    writer.close()
    return (middle - begin) - (end - middle)


def read(operations: int, path: Path) -> Seconds:
    """Seconds to open and check the record of `operations`."""
    begin = now()
    history = read_record(path)
    taken = now() - begin
    assert len(history.writes) == operations
    return taken


def export(operations: int, path: Path) -> Seconds:
    """Seconds to write the record as lines, once opened."""
    history = read_record(path)
    begin = now()
    with open(path.with_suffix(".jsonl"), "w") as file:
        file.writelines(f"{line}\n" for line in format_lines(history))
    return now() - begin


def parse(operations: int, path: Path) -> Seconds:
    """Seconds to read the lines back."""
    begin = now()
    history = open_history(path.with_suffix(".jsonl"))
    taken = now() - begin
    assert len(history.writes) == operations
    return taken


def nothing(operations: int, path: Path) -> Seconds:
    """No step at all: what interpreter and imports need."""
    return now() * 0


STEPS = {step.__name__: step for step in (nothing, many, append, read, export, parse)}


def peak_mib() -> float:
    """The most memory that this process ever had resident (VmHWM of proc(5))."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measured(step: str, operations: int, path: Path) -> list[float]:
    """Seconds on the clock, seconds of processor and peak MiB of one step in a process of its own."""
    argv = [sys.executable, __file__, "--step", step, "--operations", str(operations), "--path", str(path)]
    figures: list[float] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    return figures


def table(operations: int, rounds: int) -> None:
    """Measure every step in every round, and print the medians."""
    results: dict[str, list[list[float]]] = {step: [] for step in STEPS}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for step, rows in results.items():
                rows.append(measured(step, operations, Path(folder) / "record"))
    print(f"{operations} operations, medians of {rounds} rounds (least to most)")
    for step, rows in results.items():
        clock, processor, mib = (sorted(column) for column in zip(*rows, strict=True))
        spread = f"({clock[0]:.3f} to {clock[-1]:.3f})"
        each_ns = statistics.median(processor) / operations * 1e9
        print(
            f"{step:8} {statistics.median(clock):7.3f} s {spread:18} processor {statistics.median(processor):6.3f} s, "
            f"{each_ns:5.0f} ns each; peak {statistics.median(mib):4.0f} MiB"
        )


def main() -> None:
    """Print the table, or run the one step that `--step` names."""
    options = argparse.ArgumentParser()
    options.add_argument("--operations", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--step", choices=STEPS)
    options.add_argument("--path", type=Path)
    chosen = options.parse_args()
    if chosen.step:
        taken = STEPS[chosen.step](chosen.operations, chosen.path)
        print(json.dumps([*taken.tolist(), peak_mib()]))
    else:
        table(chosen.operations, chosen.rounds)


if __name__ == "__main__":
    main()
