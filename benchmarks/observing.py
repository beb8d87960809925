"""What benchmarks of observers have in common: an observer on a load, its rate and its lateness, and rounds in turn."""

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chaosdrills.observe.session import ObserverSession, ObserverSpec

Rates = dict[str, list[float]]


def observed(
    service: str,
    workload: str,
    arguments: dict[str, Any],
    look: Callable[[ObserverSession], Any],
    *,
    rate_per_s: float,
    max_in_flight: int,
    warm_s: float,
) -> Any:
    """What `look` finds of an observer, `warm_s` after its load has begun; it reads back, and leaves nothing."""
    with tempfile.TemporaryDirectory(prefix="chaosdrills-") as name:
        spec = ObserverSpec(
            uuid.uuid4().hex[:8], service, workload, Path(name) / "record", arguments,
            rate_per_s=rate_per_s, max_in_flight=max_in_flight,
        )  # fmt: skip
        session = ObserverSession.start(spec, Path(name), 60)
        try:
            time.sleep(warm_s)
            found = look(session)
            session.finish(10, 120)
        finally:
            session.close()
    return found


def acked_per_s(session: ObserverSession, seconds: float) -> float:
    """Acknowledgements a second, between two instants so far apart."""
    first, begin = session.snapshot()["acked"], time.monotonic()
    time.sleep(seconds)
    last, end = session.snapshot()["acked"], time.monotonic()
    return float((last - first) / (end - begin))


def lateness(session: ObserverSession, seconds: float) -> dict[str, Any]:
    """How late operations were sent after their intended time, `seconds` from now."""
    time.sleep(seconds)
    found: dict[str, Any] = session.snapshot()["lateness"]
    return found


def in_turn(kinds: Sequence[str], rounds: int, measure: Callable[[str], float], unit: str) -> Rates:
    """The rate of each of `kinds` in each round, the order turning with every round."""
    rates: Rates = {kind: [] for kind in kinds}
    for number in range(rounds):
        turn = number % len(kinds)
        for kind in (*kinds[turn:], *kinds[:turn]):
            rates[kind].append(measure(kind))
            print(f"round {number + 1}: {kind:20s} {rates[kind][-1]:10,.0f} {unit}/s", flush=True)
    return rates


def medians(rates: Rates) -> dict[str, int]:
    """`<kind>_per_s` of all rounds."""
    return {f"{kind}_per_s": round(statistics.median(found)) for kind, found in rates.items()}


def ratios(rates: Rates, ours: str, theirs: str) -> dict[str, Any]:
    """`<ours>_to_<theirs>`: that of the medians, and of each round."""
    pairs = zip(rates[ours], rates[theirs], strict=True)
    whole = statistics.median(rates[ours]) / statistics.median(rates[theirs])
    name = f"{ours}_to_{theirs}"
    return {name: round(whole, 3), f"{name}_each": [round(mine / other, 3) for mine, other in pairs]}
