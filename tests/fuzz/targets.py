"""What is fuzzed: everything that reads what people or crashes may have changed.

Each target takes an input to the code that reads it, and raises whatever that code should not: any exception but a
`DrillError` with message and hint (of controls, the Chaos Toolkit's own `InvalidActivity`), text that cannot be shown,
a `met` that the oracle does not share, or an input that broke a checksum and was taken for whole.
"""

import asyncio
import json
import os
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaoslib.exceptions import InvalidActivity
from chaoslib.experiment import ensure_experiment_is_valid
from click.testing import CliRunner

from chaosdrills.cli.main import drills
from chaosdrills.core.exchange import format_lines, parse
from chaosdrills.core.history import History
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.objectives import Objective
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import DrillError
from chaosdrills.faults import heal_log
from chaosdrills.faults.healing import sweep
from chaosdrills.gameday.catalogue import catalogue, shipped
from chaosdrills.host import nodes
from chaosdrills.host.settings import OVERRIDE, load_objectives
from chaosdrills.lab import control as lab_control
from chaosdrills.lab.status import status
from chaosdrills.observe import arguments
from chaosdrills.observe import control as observe_control
from chaosdrills.observe.contents import describe
from chaosdrills.observe.expectation import Bounds, Expectation
from chaosdrills.observe.exposition import Selector
from chaosdrills.observe.http import MOST_BODY, MOST_HEAD, Answer, NoAnswer, Unheard, ask
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.tolerances import limits_of
from tests.cli import histories as cli_histories
from tests.core import oracle, simulator
from tests.core.test_exchange import plain
from tests.fuzz.mutations import Change, changed_bytes, changed_json, changed_lines, changed_slots
from tests.observe.drills import write_record
from tests.observe.test_record import polled_record, small_record
from tests.observe.web import ANSWERS

LIMITS: dict[str, Any] = {"rto_s": 600, "rpo_s": 900, "max_lost": 0}
SHORT = {"stable_s": 2, "baseline_s": 5, "watch_s": 5}
ENTRY = "20261123T080000123456Z-kafka-kill-3fa2b1"


@dataclass
class Target:
    """One thing that is fuzzed: valid inputs, how they are changed, and what takes them, in a folder of its own.

    `weight`: how often it is chosen beside the others, where they are not all as quick. `read` says whether the input
    was taken.
    """

    name: str
    seeds: Sequence[bytes]
    changes: Sequence[Change]
    read: Callable[[bytes, Path], bool]
    weight: int = 10
    taken: int = field(default=0)

    def make(self, seed: int) -> bytes:
        """The input number `seed`."""
        rng = random.Random(f"{self.name} {seed}")
        return rng.choice(self.changes)(rng, rng.choice(self.seeds), self.seeds)

    def run(self, data: bytes, folder: Path) -> None:
        """Have `data` read. Raises what is a finding."""
        try:
            self.taken += self.read(data, folder)
        except DrillError as error:
            require_clean(error)


def require_clean(error: DrillError) -> None:
    """A message and a hint, both of which any terminal can show."""
    assert error.message, "an error has no message"
    assert error.hint, f"an error has no hint: {error.message}"
    str(error).encode()


def read_a_record(data: bytes, folder: Path) -> bool:
    path = folder / "record"
    path.write_bytes(data)
    history = read_record(path)
    json.dumps(describe(history), allow_nan=False)
    if _is_met(history):
        _require_oracle(list(format_lines(history)))
    if data not in WHOLE_RECORDS and history.end_ns is not None and not history.warnings:
        _require_resealed(data, history)
    return True


def read_a_history(data: bytes, folder: Path) -> bool:
    lines = data.split(b"\n")
    history = parse(lines)
    again = parse(format_lines(history))
    assert plain(again) == plain(history), "a history is not what it is written as"
    if _is_met(history):
        text = (line.decode().removeprefix("\ufeff") for line in lines)
        _require_oracle([line for line in text if line.strip()])
    return True


def validate_observe(data: bytes, folder: Path) -> bool:
    given = json.loads(data)
    if not isinstance(given, dict) or given.keys() != {"arguments", "experiment"}:
        return False
    control = {"name": "observe", "provider": {"type": "python", "module": "m", "arguments": given["arguments"]}}
    with suppress(InvalidActivity):
        observe_control.validate_control(control)
        if _is_an_experiment(given["experiment"]):
            own = given["arguments"] or {}
            arguments.faults_of(given["experiment"], own.get("faults"))
            arguments.heals_of(given["experiment"], own.get("heals"))
            limits_of(given["experiment"])
            return True
    return False


def _is_an_experiment(given: Any) -> bool:
    """What the Chaos Toolkit, which fails on much in its own ways, would let through to us."""
    try:
        ensure_experiment_is_valid({**given, "controls": []})
    except Exception:
        return False
    return True


def validate_lab(data: bytes, folder: Path) -> bool:
    with suppress(InvalidActivity):
        lab_control.validate_control({"name": "lab", "provider": {"arguments": json.loads(data)}})
        return True
    return False


def read_the_heal_log(data: bytes, folder: Path) -> bool:
    os.environ["XDG_STATE_HOME"] = str(folder)
    path = heal_log.path_of(ENTRY)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    entries, damaged = heal_log.outstanding()
    assert len(entries) + len(damaged) == 1
    for each in damaged:
        each.why.encode()
    for entry in entries:
        f"{entry.fault} {entry.target.label} {entry.drill}".encode()
    for line in sweep(""):
        line.encode()
    return bool(entries)


def read_the_lab(data: bytes, folder: Path) -> bool:
    os.environ["XDG_STATE_HOME"] = str(folder)
    path = nodes.cluster_dir("kafka") / "lab.json"
    path.write_bytes(data)
    json.dumps(status("kafka"), allow_nan=False).encode()
    return True


def read_an_answer(data: bytes, folder: Path) -> bool:
    """What an endpoint answers: an answer within bounds, or one of two errors that say why not."""
    try:
        answer = asyncio.run(_answer(data))
    except (NoAnswer, Unheard) as error:
        str(error).encode()
        return False
    assert len(answer.body) <= MOST_BODY
    for expectation in EXPECTATIONS:
        expectation.why_not(answer.status, answer.body).encode()
    return True


async def _answer(data: bytes) -> Answer:
    class Nowhere:
        def write(self, data: bytes) -> None:
            pass

    reader: Any = asyncio.StreamReader(limit=MOST_HEAD)
    reader.feed_data(data)
    reader.feed_eof()
    nowhere: Any = Nowhere()
    return await ask(reader, nowhere, b"")


def read_objectives(data: bytes, folder: Path) -> bool:
    path = folder / "objectives.json"
    path.write_bytes(data)
    os.environ[OVERRIDE] = str(path)
    try:
        for service, objective in load_objectives().items():
            _require_limits(service, objective)
    finally:
        del os.environ[OVERRIDE]
    return True


def report_a_summary(data: bytes, folder: Path) -> bool:
    if not (folder / "record").exists():
        write_record(folder / "record", outage=(10, 13))
    (folder / "summary.json").write_bytes(data)
    done = CliRunner().invoke(drills, ["report", str(folder)])
    assert done.exit_code in (0, 64), done.stderr
    assert done.exit_code == 0 or (done.stderr.startswith("Error: ") and "\nTry: " in done.stderr), done.stderr
    return done.exit_code == 0


def list_experiments(data: bytes, folder: Path) -> bool:
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / "experiments" / "mine.json").write_bytes(data)
    entries, broken = catalogue(folder / "experiments")
    assert len(broken) == 1 or any(entry.name == "mine" for entry in entries)
    for shown in (*entries, *broken):
        str(shown).encode()
    return not broken


def targets(folder: Path) -> list[Target]:
    """All targets; `folder` is for making valid inputs."""
    control = json.dumps(_observe_seed()).encode()
    return [
        Target("record", _records(folder), (changed_slots, changed_slots, changed_bytes), read_a_record),
        Target("history", _histories(), (changed_lines, changed_lines, changed_bytes), read_a_history),
        Target("observe arguments", [control], (changed_json,), validate_observe),
        Target("answer", GOOD_ANSWERS, (changed_bytes, changed_bytes), read_an_answer),
        Target("lab arguments", _as_json(LAB_ARGUMENTS), (changed_json,), validate_lab),
        Target("heal log", _as_json([ENTRY_SEED]), (changed_json, changed_bytes), read_the_heal_log),
        Target("lab state", _as_json([LAB_SEED]), (changed_json, changed_bytes), read_the_lab),
        Target("objectives", [OBJECTIVES], (changed_json, changed_bytes), read_objectives),
        Target("experiments", list(shipped().values()), (changed_json, changed_bytes), list_experiments),
        Target("summary", _summaries(), (changed_json, changed_json, changed_bytes), report_a_summary, weight=1),
    ]


WHOLE_RECORDS: list[bytes] = []


def _records(folder: Path) -> list[bytes]:
    write_record(folder / "met", outage=(10, 13))
    write_record(folder / "lost", lost=3)
    small_record(folder / "small")
    polled_record(folder / "polled")
    write_record(folder / "users", outage=(10, 13), unseen=(10, 14))
    WHOLE_RECORDS[:] = [(folder / name).read_bytes() for name in ("met", "lost", "small", "polled", "users")]
    return WHOLE_RECORDS


def _histories() -> list[bytes]:
    made = [
        cli_histories.lines(),
        cli_histories.lines(lost=3),
        _polled(),
        *(simulator.histories(seed) for seed in range(40)),
    ]
    return [b"\n".join(json.dumps(line).encode() for line in lines) for lines in made]


def _polled() -> list[dict[str, Any]]:
    """A history that is met, with an endpoint that was out for 3 s, and a self-healer that tries twice."""
    polls = [
        {"kind": "poll", "stream": "app", "invoked_s": index / 10, "completed_s": index / 10 + 0.01}
        | {"outcome": "failed" if 200 <= index < 230 else "ok"}
        for index in range(600)
    ]
    samples = [
        {"kind": "sample", "stream": "healer", "invoked_s": index / 2, "completed_s": index / 2 + 0.01}
        | {"count": index // 50, "outcome": "ok"}
        for index in range(120)
    ]
    return [*cli_histories.lines(), *polls, *samples]


def _as_json(values: Sequence[Any]) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def _observe_seed() -> dict[str, Any]:
    """The shipped broker loss with every argument that its observe control takes."""
    experiment = json.loads(shipped()["kafka-broker-loss.json"])
    own: dict[str, Any] = next(it["provider"]["arguments"] for it in experiment["controls"] if it["name"] == "observe")
    own |= {"faults": ["kill the leader"], "heals": ["start the broker again"], "parameters": dict(SHORT)}
    own |= {"progress": False, "journals": "journals", "baseline_timeout_s": 60, "drain_timeout_s": 30.5}
    own["workload_arguments"] |= {"partitions": 3, "acks": "all", "payload_bytes": 200, "topic_config": {"a": "b"}}
    own["polls"] = [
        {"name": "app", "url": "http://127.0.0.1:1/health", "rate_per_s": 20, "timeout_s": 1, "keep_alive": False}
        | {"expect": {"status": [200], "json": "a.b", "equals": 1, "metric": 'up{job="app"}', "at_least": 1}},
        {"name": "later", "url": "${app_url}"},
    ]
    own["watches"] = [
        {
            "name": "healer",
            "url": "http://127.0.0.1:1/metrics",
            "metric": 'tries{node="1"}',
            "every_s": 0.1,
            "timeout_s": 1,
        }
        | {"factor": 1.5, "cap_s": 30},
        {"name": "keeper", "source": "chaosdrills.redis.attempts:RedisAttempts", "arguments": {"key": "${key}"}},
    ]
    tolerance = {"type": "range", "target": "unavailable_judged_s", "range": [0, 60]}
    provider = {"type": "python", "module": "chaosdrills.observe.probes", "func": "availability"}
    users = {"type": "probe", "name": "users", "tolerance": tolerance, "provider": provider}
    experiment["steady-state-hypothesis"]["probes"].append(users)
    return {"arguments": own, "experiment": experiment}


def _summaries() -> list[bytes]:
    samples = Path(__file__).resolve().parents[2] / "journals" / "samples"
    return [path.read_bytes() for path in sorted(samples.glob("*/summary.json"))]


GOOD_ANSWERS = [
    ANSWERS[mode] for mode in ("good", "bad", "metrics", "chunked", "until closed", "interim", "no content")
]
EXPECTATIONS = (
    Expectation(path=("parts", "0", "lag"), value=0.5),
    Expectation(bounds=Bounds(Selector("queue_length", {"queue": "in"}), 0, 12)),
    Expectation(bounds=Bounds(Selector("queue_length"), 0)),
)
LAB_ARGUMENTS = (
    {
        "service": "kafka",
        "options": {"base_port": 29092, "settings": {"broker.session.timeout.ms": 3000}},
        "timeout_s": 90,
    },
    {"service": "kafka"},
)
ENTRY_SEED = {
    "version": 1, "id": ENTRY, "fault": "kill", "service": "kafka",
    "target": {"label": "broker 2 (t/0)", "role": "leader", "handle": {"node": 2, "pid": 9, "start_ticks": 4}},
    "began_at": "2026-11-23T08:00:00.123456+00:00", "boot_id": heal_log.boot_id(),
    "owner": {"pid": 999_999, "start_ticks": 2}, "drill": "kafka-broker-loss",
}  # fmt: skip
LAB_SEED = {
    "version": 1, "service": "kafka", "owner": {"pid": 999_999, "start_ticks": 2}, "endpoint": "127.0.0.1:1",
    "options": {"base_port": 1, "settings": {}}, "guard": None,
    "nodes": [{"id": 1, "endpoint": "127.0.0.1:1", "argv": ["false"], "env": {"A": "b"}, "cwd": "/", "log": "/dev/null",
               "data_dir": "/", "process": {"pid": 999_999, "start_ticks": 4}}],
}  # fmt: skip
OBJECTIVES = b"""{"kafka": {"rto_s": 600, "rpo_s": 900, "max_lost": 0, "cadence_days": 90},
                  "redis": {"rto_s": 600.5, "rpo_s": 3600, "max_lost": null, "cadence_days": 90}}"""


def _is_met(history: History) -> bool:
    judgement = judge(history, Limits(**_limits(bool(history.poll_streams))), Parameters(**SHORT))
    json.dumps(judgement.as_dict(), allow_nan=False)
    return judgement.overall.verdict == "met"


def _limits(polled: bool) -> dict[str, Any]:
    """Where endpoints were polled, for how long they may be unavailable too."""
    return {**LIMITS, "max_unavailable_s": 20} if polled else LIMITS


def _require_oracle(lines: Sequence[str]) -> None:
    objects = [json.loads(line) for line in lines]
    polled = any(line["kind"] == "poll" for line in objects)
    verdict = oracle.judge(objects, **_limits(polled), **SHORT)["verdict"]
    assert verdict == "met", f"the judge says met, the oracle {verdict}"


def _require_resealed(data: bytes, history: History) -> None:
    """A record that is not one of ours and is said to be whole must have seals that fit: then somebody made them."""
    from tests.fuzz.mutations import sealed

    slots = [data[at : at + 32] for at in range(0, len(data), 32)]
    assert sealed(slots) == data, "a record with a broken seal was taken for whole"


def _require_limits(service: str, objective: Objective) -> None:
    service.encode()
    for value in (objective.rto_s, objective.rpo_s, objective.max_lost or 0, objective.cadence_days):
        assert 0 <= value < 1e9, objective
