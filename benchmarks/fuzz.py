"""A long fuzz of everything that reads what people or crashes may have changed.

    python -m benchmarks.fuzz [--inputs 100000] [--seed N] [--only NAME]

Prints the seed, inputs and findings by target, and ends with 1 if there is a finding. Input number N of a target is
made again with ``--only TARGET --seed N --inputs 1``. Targets and mutations are those of `tests/fuzz`.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import FrameType

from tests.fuzz.targets import Target, targets

HANG_S = 20
SHOWN = 5
FAST = Path("/dev/shm")


class HangError(Exception):
    """An input was not read in time."""


def hung(signum: int, frame: FrameType | None) -> None:
    raise HangError(f"not read within {HANG_S} s")


def place(error: BaseException) -> str:
    """Where in our own code an error came from, and what it is: two of one kind count as one finding."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "chaosdrills/" in frame.filename] or frames
    return f"{type(error).__name__} in {Path(ours[-1].filename).name}:{ours[-1].lineno}"


def fuzz(target: Target, first: int, inputs: int, folder: Path) -> dict[str, tuple[int, str]]:
    """Run `inputs` inputs; for each kind of finding the first input's number and the error."""
    findings: dict[str, tuple[int, str]] = {}
    for seed in range(first, first + inputs):
        signal.alarm(HANG_S)
        try:
            target.run(target.make(seed), folder)
        except Exception as error:
            findings.setdefault(place(error), (seed, f"{error}"[:200]))
        finally:
            signal.alarm(0)
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1 << 30))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, hung)
    found = 0
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as name:
        os.environ["XDG_STATE_HOME"] = name
        chosen = [target for target in targets(Path(name)) if options.only in ("", target.name)]
        whole = sum(target.weight for target in chosen)
        for target in chosen:
            begun, inputs = time.monotonic(), max(1, options.inputs * target.weight // whole)
            folder = Path(name, target.name)
            folder.mkdir()
            findings = fuzz(target, options.seed, inputs, folder)
            found += len(findings)
            took_s = time.monotonic() - begun
            taken = f"{target.taken / inputs:.0%} taken"
            print(f"{target.name:<18}{inputs:>8,} inputs, {taken:>10}, {took_s:6.1f} s, {len(findings)} findings")
            for where, (seed, what) in list(findings.items())[:SHOWN]:
                print(f"  input {seed}: {where}: {what!r}", flush=True)
    print(f"{found} findings")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
