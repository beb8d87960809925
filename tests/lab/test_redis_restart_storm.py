"""redis-restart-storm as it is shipped, with the self-healer that storms, and with the one that backs off.

What both counted is held against what they keep themselves: the log of their attempts.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chaosdrills.core.attempts import Attempts
from chaosdrills.core.judge import judge
from chaosdrills.core.stored import limits_of, parameters_of
from tests.drills.chaos import SHORT, Experiment, Run, control
from tests.lab.redis_nodes import start_lab
from tests.lab.shipped import FULL, Labs, RunIt, experiments_of, running

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

STORM, BACKOFF = "redis-restart-storm", "redis-restart-storm-backoff"
MARKS = ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
KEPT = {
    "name": "kept",
    "source": "chaosdrills.redis.attempts:RedisAttempts",
    "arguments": {"redis_url": "${redis_url}", "key": "chaosdrills:healer:attempts"},
}


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    made = Labs(tmp_path_factory.mktemp("experiments"), start_lab)
    yield made
    made.end()


@pytest.fixture
def run(labs: Labs) -> Iterator[RunIt]:
    """Runs an experiment to its end; afterwards nothing of it may be left."""
    shipped = experiments_of("redis")[STORM]
    with running(labs, {STORM: shipped, BACKOFF: _backing_off(shipped)}, _prepare) as to_its_end:
        yield to_its_end


def _backing_off(shipped: Experiment) -> Experiment:
    """The same with the other self-healer, which is asked in both ways."""
    described: Experiment = json.loads(json.dumps(shipped))
    control(described, "lab")["options"]["healer"] = "backoff"
    control(described)["watches"].append(KEPT)
    return described


def _prepare(name: str, described: Experiment) -> None:
    if not FULL:
        control(described)["parameters"] = dict(SHORT)
        control(described)["baseline_timeout_s"] = 120


def attempts(done: Run) -> dict[str, Attempts]:
    """What the record shows, judged again."""
    found = judge(done.history, limits_of(done.summary), parameters_of(done.summary)).attempts
    return {one.stream: one for one in found}


def logged(done: Run) -> int:
    """How often the self-healer says that it tried."""
    log = done.place.state / "chaosdrills" / "lab" / "redis" / "node-7.log"
    return len(re.findall(r" healer: node \d", log.read_text()))


def objective(done: Run, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in done.summary["objectives"] if one["name"] == name)
    return found


def test_a_storm_is_missed_by_the_bound_alone(run: RunIt) -> None:
    done = run(STORM)
    assert (done.line("Verdict"), done.status) == ("missed", 1), done.log
    assert done.marks() == MARKS
    assert {one["name"]: one["verdict"] for one in done.summary["objectives"]} == {
        "rto": "met", "rpo": "met", "max_attempts": "missed", "max_attempts_per_min": "missed",
    }  # fmt: skip
    (storm,) = attempts(done).values()
    assert storm.count == logged(done) > 40
    assert (storm.judged, storm.backs_off, storm.resets, storm.doubt) == (storm.count, False, 0, "")
    assert objective(done, "max_attempts")["actual"] == storm.count
    assert "healer every 0.1 s" in done.summary["environment"]["watches"]
    assert "| Restart attempts |" in next((done.folder / "journals").glob("*/report.md")).read_text()


def test_a_back_off_is_met_and_seen_alike_on_its_page_and_in_the_redis(run: RunIt) -> None:
    done = run(BACKOFF)
    assert (done.line("Verdict"), done.status) == ("met", 0), done.log
    assert done.marks() == MARKS
    both = attempts(done)
    assert both["healer"].count == logged(done)
    assert 3 <= logged(done) <= 6
    assert both["kept"].count == both["healer"].count
    assert [(seen.resets, seen.doubt) for seen in both.values()] == [(0, ""), (0, "")]
    gaps = [round(gap_ns / 1e9) for gap_ns in both["healer"].gaps_ns]
    assert gaps == [1, 2, 4, 8][: len(gaps)]
    assert both["healer"].backs_off is True
    assert both["kept"].backs_off is None, "the Redis could not be asked while nobody led"
