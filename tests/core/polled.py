"""Random polls of endpoints for the simulator's histories: good ones, and what befalls them now and then.

They know of a history only its grid of time, its end of load and its faults, and take their chances from a generator of
their own.
"""

import random
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Span = tuple[float, float, str]


def polls(rng: random.Random, grid: float, load_end: float, faults: list[float]) -> list[Json]:
    """The poll lines of a history: none, or of one endpoint or several."""
    names = rng.choice([[], [], ["app"], ["app"], ["app"], ["0"], ["app", "0"], ["app", "metrics", ""]])
    lines = [line for name in names for line in _endpoint(rng, name, grid, load_end, faults)]
    return rng.sample(lines, len(lines)) if rng.random() < 0.3 else lines


def _endpoint(rng: random.Random, name: str, grid: float, load_end: float, faults: list[float]) -> Iterator[Json]:
    """An open loop, a little past the end of load or not quite to it; now and then it begins late or is silent."""
    every = max(grid, rng.choice([0.05, 0.1, 0.25, 0.25, 0.5, 1, 2]))
    first = rng.choice([0, 0, 0, rng.random() * every, *(faults if rng.random() < 0.1 else [])])
    last = load_end + rng.choice([0, 0, every / 2, 3 * every, 0, -every, -1 if rng.random() < 0.8 else -6])
    moods = list(_moods(rng, load_end, faults))
    for index in range(int(max(last - first, 0) / every) + 1):
        invoked = round(round((first + index * every) / grid) * grid, 3)
        mood = next((mood for begin, end, mood in moods if begin <= invoked < end), "good")
        if mood == "silent" or (mood == "thin" and rng.random() < 0.7):
            continue
        yield _poll(rng, name, invoked, mood)
        if rng.random() < 0.01:
            yield _poll(rng, name, invoked, rng.choice(["good", "fail"]))


def _moods(rng: random.Random, load_end: float, faults: list[float]) -> Iterator[Span]:
    """What befalls the endpoint, or its poller, from when to when."""
    if rng.random() < 0.04:
        yield 0, (faults[0] if faults and rng.random() < 0.5 else load_end + 9), "fail"
    for fault in faults:
        begin = fault + rng.choice([0, 0, -1, 1, rng.uniform(-2, 4)])
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            end = rng.choice([begin + rng.uniform(0, 2), begin + rng.uniform(0, 8), begin + 2, load_end])
            yield begin, end, rng.choice(["fail", "fail", "unknown", "slow", "mixed", "mixed", "silent", "thin"])
            begin = end + rng.choice([0.05, 0.5, 1, rng.uniform(0, 4)])
    if rng.random() < 0.1:
        yield load_end - rng.choice([0, 0.5, 3]), load_end + 9, rng.choice(["fail", "silent"])


def _poll(rng: random.Random, name: str, invoked: float, mood: str) -> Json:
    if mood == "mixed":
        mood = rng.choice(["good", "fail", "slow", "unknown"])
    late = {"slow": rng.choice([0.5, 0.5, 1, 1.001, 2, 7]), "unknown": rng.choice([1, 8])}.get(mood, 0.01)
    outcome = {"fail": "failed", "unknown": "unknown"}.get(mood, "ok")
    completed = None if mood == "unknown" and rng.random() < 0.5 else round(invoked + late, 3)
    return {"kind": "poll", "stream": name, "invoked_s": invoked, "completed_s": completed, "outcome": outcome}
