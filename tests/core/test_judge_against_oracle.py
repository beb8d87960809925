"""The judge against the oracle, which shares no code with it, on ten thousand random histories."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from chaosdrills.core.exchange import parse
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from tests.core import oracle, simulator

HISTORIES = int(os.environ.get("CHAOSDRILLS_HISTORIES", "10000"))
CHUNK = 100


def judged(lines: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    given = dict(options)
    names = ("rto_s", "rpo_s", "max_lost", "fresh_judged", "max_unavailable_s")
    rto_s, rpo_s, max_lost, fresh, users_s = (given.pop(name, None) for name in names)
    limits = Limits(rto_s, rpo_s, max_lost, bool(fresh), users_s)
    result = judge(parse(json.dumps(line) for line in lines), limits, Parameters(**given)).as_dict()
    return {name: value for name, value in result.items() if name not in ("parameters", "examples")}


def differences(first: int) -> list[tuple[int, dict[str, Any]]]:
    """For each seed of a chunk where the two differ: the seed, and (judge, oracle) by figure."""
    found = []
    for seed in range(first, first + CHUNK):
        lines, options = simulator.histories(seed), simulator.parameters(seed)
        ours, theirs = judged(lines, options), oracle.judge(lines, **options)
        apart = {name: (ours[name], theirs[name]) for name in theirs if ours[name] != theirs[name]}
        if apart or ours.keys() != theirs.keys():
            found.append((seed, apart))
    return found


@pytest.mark.timeout(900)
def test_the_judge_agrees_with_the_oracle() -> None:
    with ProcessPoolExecutor() as pool:
        apart = [one for chunk in pool.map(differences, range(0, HISTORIES, CHUNK)) for one in chunk]
    assert apart == []
