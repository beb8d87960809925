"""What must hold for any history: planted loss is found exactly, and how a record is written down does not matter."""

import json
import random
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from chaosdrills.core.exchange import parse
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from tests.core import simulator

Json = dict[str, Any]
SEEDS = st.integers(0, 10**6)
BOUNDED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def figures(lines: list[Json], options: Json | None = None) -> Json:
    return judge(parse(json.dumps(line) for line in lines), Limits(60, 60), Parameters(**(options or {}))).as_dict()


def intact_log(seed: int) -> list[Json]:
    """A random log, every acknowledged write of which survives in its order."""
    lines = [line for line in simulator.histories(seed) if line["kind"] != "final"]
    assume(lines[0].get("stream_kind", "log") == "log" or any(line.get("stream_kind") == "log" for line in lines))
    kept: dict[str, list[int]] = {}
    for line in lines:
        if line["kind"] == "write":
            kept.setdefault(line["stream"], []).extend([line["seq"]] if line["outcome"] == "ok" else [])
    lines = [line for line in lines if line["kind"] != "mark" or not line["name"].startswith("heal")]
    return lines + [
        {"kind": "final", "stream": stream, "at_s": 10_000, "seqs": sorted(seqs)} for stream, seqs in kept.items()
    ]


def finals(lines: list[Json]) -> list[Json]:
    return [line for line in lines if line["kind"] == "final" and line["seqs"]]


@BOUNDED
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(seed: int, rng: random.Random) -> None:
    lines = simulator.histories(seed)
    shuffled = rng.sample(lines, len(lines))
    ours, theirs = figures(lines), figures(shuffled)
    assert {**ours, "examples": None} == {**theirs, "examples": None}


@BOUNDED
@given(SEEDS, st.data())
def test_planted_loss_is_counted_exactly(seed: int, data: st.DataObject) -> None:
    lines = intact_log(seed)
    assume(finals(lines))
    assert figures(lines)["lost"] == 0
    victim = data.draw(st.sampled_from(finals(lines)))
    gone = data.draw(st.sets(st.sampled_from(victim["seqs"]), min_size=1))
    victim["seqs"] = [seq for seq in victim["seqs"] if seq not in gone]
    assert figures(lines)["lost"] == len(gone)


@BOUNDED
@given(SEEDS, st.data())
def test_planted_duplicates_are_counted_exactly(seed: int, data: st.DataObject) -> None:
    lines = intact_log(seed)
    assume(finals(lines))
    victim = data.draw(st.sampled_from(finals(lines)))
    again = data.draw(st.lists(st.sampled_from(victim["seqs"]), min_size=1, max_size=5))
    victim["seqs"] = victim["seqs"] + again
    result = figures(lines)
    assert (result["duplicated"], result["lost"], result["reordered"]) == (len(again), 0, 0)


@BOUNDED
@given(SEEDS, st.data())
def test_a_planted_reorder_is_found(seed: int, data: st.DataObject) -> None:
    lines = intact_log(seed)
    long = [line for line in finals(lines) if len(line["seqs"]) > 1]
    assume(long)
    victim = data.draw(st.sampled_from(long))
    at = data.draw(st.integers(0, len(victim["seqs"]) - 2))
    seqs = victim["seqs"]
    seqs[at], seqs[at + 1] = seqs[at + 1], seqs[at]
    result = figures(lines)
    assert (result["reordered"], result["lost"]) == (1, 0)


@BOUNDED
@given(SEEDS)
def test_a_record_without_its_end_is_never_met(seed: int) -> None:
    lines = [line for line in simulator.histories(seed) if line["kind"] != "end"]
    result = figures(lines, {"watch_s": 0, "stable_s": 2, "baseline_s": 2})
    assert "met" not in (result["verdict"], result["rto_verdict"], result["rpo_verdict"])


@BOUNDED
@given(SEEDS, st.floats(0, 0.9))
def test_a_stricter_rto_never_turns_a_miss_into_more(seed: int, share: float) -> None:
    rank = ["met", "unknown", "missed"]
    history = parse(json.dumps(line) for line in simulator.histories(seed))
    parameters = Parameters(stable_s=2, baseline_s=2, watch_s=0)
    loose = judge(history, Limits(rto_s=30), parameters).rto.verdict
    strict = judge(history, Limits(rto_s=30 * share), parameters).rto.verdict
    assert rank.index(strict) >= rank.index(loose)
