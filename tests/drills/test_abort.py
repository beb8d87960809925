"""Drills that are ended before their time from another terminal, in each phase, and by their own abort conditions.

Most are on a service in memory, and under way together: their time is spent in waiting.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.processes import wait_until
from tests.drills.chaos import (
    MARKER,
    PROGRAMS,
    WAIT,
    Experiment,
    Place,
    Run,
    action,
    control,
    experiment,
    foreign,
    in_memory,
    with_foreign_fault,
)

pytestmark = pytest.mark.lab

FAULT = "somebody else's fault"
BY = "aborted by 'chaos drills abort' in the phase"
HOLD = {"CHAOSDRILLS_HOLD": "1"}
UNDONE = f"Nothing of ours is outstanding. Whether {FAULT}, done by another extension, is undone, only that can say."
LONG_S = 3000  # longer than all tests: only an abort ends it


def quiet(*later: dict[str, Any], func: str = "nothing", **more: Any) -> Experiment:
    return in_memory(with_foreign_fault(func, *later, **more))


def with_arguments(described: Experiment, **workload_arguments: Any) -> Experiment:
    control(described)["workload_arguments"] = workload_arguments
    return described


def with_parameters(described: Experiment, **parameters: float) -> Experiment:
    control(described)["parameters"] |= parameters
    return described


def process() -> dict[str, Any]:
    provider = {"type": "process", "path": "sleep", "arguments": str(LONG_S)}
    return {"type": "action", "name": "a process", "provider": provider}


def never_warm() -> Experiment:
    described = with_arguments(quiet(), silent=True)
    control(described)["start_timeout_s"] = LONG_S
    return described


def never_clean() -> Experiment:
    described = with_parameters(quiet(), baseline_s=LONG_S)
    control(described)["baseline_timeout_s"] = 2 * LONG_S
    return described


def blocked_fault() -> Experiment:
    return quiet(func="sleep", arguments={"seconds": LONG_S})


def blocked_later() -> Experiment:
    return quiet(foreign("sleep", "a later action", arguments={"seconds": LONG_S}))


def in_a_process() -> Experiment:
    return quiet(process())


def in_a_pause() -> Experiment:
    return quiet(foreign("nothing", "an action", pauses={"after": LONG_S}))


def before_a_pause() -> Experiment:
    return quiet(foreign("sleep", "an action", arguments={"seconds": LONG_S}, pauses={"after": LONG_S}))


def in_the_background() -> Experiment:
    return quiet(foreign("sleep", "in the background", arguments={"seconds": LONG_S}, background=True))


def swallowed() -> Experiment:
    return quiet(foreign("swallow", "swallows all"), foreign("sleep", "is not reached", arguments={"seconds": LONG_S}))


def watching() -> Experiment:
    return with_parameters(quiet(), watch_s=LONG_S)


def reading_back() -> Experiment:
    described = with_arguments(quiet(), slow_read_back_s=LONG_S)
    control(described)["readback_timeout_s"] = LONG_S
    return described


PHASES = {
    never_warm: "warm up",
    never_clean: "baseline",
    blocked_fault: FAULT,
    blocked_later: "a later action",
    in_a_process: "a process",
    in_a_pause: "an action",
    before_a_pause: "an action",
    in_the_background: "in the background",
    swallowed: "swallows all",
    watching: "watch",
    reading_back: "drain and read back",
}


def stalled(folder: Path, abort_when: dict[str, float], **more: Any) -> Experiment:
    """The fault is that nothing is acknowledged, and the method blocks; a rollback undoes it."""
    stall = {"path": str(folder / "stall")}
    described = with_arguments(quiet(func="hurt_and_wait", arguments=stall), stall=stall["path"], **more)
    described["rollbacks"].append(foreign("remove", "its heal", arguments=stall))
    control(described)["abort_when"] = abort_when
    control(described)["heals"] = ["its heal"]
    return described


@pytest.fixture(scope="module")
def started(lab: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    place = Place(tmp_path_factory.mktemp("abort"), lab.endpoint, lab.state)
    runs = {make.__name__: place.start_beside(make(), make.__name__) for make in PHASES}
    runs["held"] = place.start_beside(quiet(), "held", env=HOLD)
    bad_share = stalled(place.folder, {"bad_share": 0.5, "for_s": 1})
    runs["bad share"] = place.start_beside(bad_share, "bad share")
    blind = quiet()
    control(blind)["abort_when"] = {"age_s": 5}
    runs["blind"] = place.start_beside(blind, "blind")
    default = with_foreign_fault("sleep", arguments={"seconds": LONG_S})
    del default["runtime"]
    runs["default rollbacks"] = place.start_beside(in_memory(default), "default rollbacks")
    slow = blocked_fault()
    slow["rollbacks"].append(foreign("sleep", "takes its time", arguments={"seconds": 12}))
    runs["slow rollback"] = place.start_beside(slow, "slow rollback")
    yield runs
    for run in runs.values():
        run.end_all()


def ended_by_abort(run: Run, why: str) -> None:
    """The end of every aborted drill of this file."""
    assert run.status == 1, run.log
    assert [line.split(":")[0] for line in run.lines] == ["Verdict", "RTO", "Lost", "Why", "Report"]
    assert run.line("Verdict") == "unknown"
    assert run.line("Why").startswith(why), run.line("Why")
    assert run.summary["why"][0].startswith(f"drill: {why}")
    assert run.journal["status"] == "aborted"
    assert [it["status"] for it in run.journal["rollbacks"]] == ["succeeded"] * len(run.journal["rollbacks"])
    assert run.journal["rollbacks"] != [], "rollbacks are kept"
    assert "Traceback" not in run.log
    assert wait_until(lambda: run.living() == [], 15), f"left running: {run.living()}"


@pytest.mark.parametrize("make", PHASES, ids=lambda make: make.__name__)
def test_an_abort_in_each_phase(started: dict[str, Run], make: Any) -> None:
    run, phase = started[make.__name__], PHASES[make]
    run.wait_phase(phase)
    done = run.drills("abort", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    hurt = make not in (never_warm, never_clean)
    assert (told["verdict"], told["whole"], told["left"]) == ("unknown", None if hurt else True, [])
    assert told["not_undone"] == (FAULT if hurt else "")
    run.end(5)
    ended_by_abort(run, f"{BY} '{phase}'" if "'" not in phase else f'{BY} "{phase}"')
    if make is not never_warm:
        assert run.marks()[-2:] == ["load_end", "drained"], "the record was closed in good order"
        assert run.history.end_ns is None
        assert [note.text for note in run.history.notes] == [run.summary["why"][0].removeprefix("drill: ")]


def test_what_follows_an_action_that_swallows_the_abort_is_not_done(started: dict[str, Run]) -> None:
    run = started["swallowed"]
    run.end(60)
    assert "Action: is not reached" not in run.log


def test_an_abort_while_it_holds_injects_nothing(started: dict[str, Run]) -> None:
    run = started["held"]
    run.wait_phase("hold")
    done = run.drills("abort")
    assert done.returncode == 0, done.stderr
    assert "is being aborted: it is in the phase 'hold'." in done.stdout
    assert done.stdout.endswith("All is whole: no fault of it is outstanding, and its process has ended.\n")
    run.end(5)
    ended_by_abort(run, f"{BY} 'hold'")
    assert "fault_begin" not in run.marks()
    assert f"Action: {FAULT}" not in run.log
    refused = run.drills("abort")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (69, "Error: no drill runs.")


def test_rollbacks_are_played_though_the_experiment_does_not_ask_for_them(started: dict[str, Run]) -> None:
    """An interrupted run plays none by default; an aborted one does."""
    run = started["default rollbacks"]
    run.wait_phase(FAULT)
    assert run.drills("abort").returncode == 0
    ended_by_abort(run, f'{BY} "{FAULT}"')


def test_an_abort_that_is_not_waited_for_and_a_second_one(started: dict[str, Run]) -> None:
    """A rollback that takes its time: whole is only said when it is."""
    run = started["slow rollback"]
    run.wait_phase(FAULT)
    hurried = run.drills("abort", "--timeout-s", "1")
    assert hurried.returncode == 69
    pid = run.process.pid
    assert hurried.stderr.startswith(f"Error: the drill (process {pid}) has not ended after 1 s; it is in the phase ")
    assert "All is whole" not in hurried.stdout
    run.wait_phase("takes its time")
    second = run.drills("abort")
    assert second.returncode == 0, second.stderr
    assert second.stdout.splitlines()[0].endswith(" ends already: it is in the phase 'takes its time'.")
    assert second.stdout.endswith(f"{UNDONE}\n")
    ended_by_abort(run, f'{BY} "{FAULT}"')


def test_an_abort_condition_ends_a_drill_whose_method_blocks(started: dict[str, Run]) -> None:
    run = started["bad share"]
    run.end(100)
    why = "aborted by its abort condition (up to 100% of all operations were bad, more than 50%, for 1."
    ended_by_abort(run, why)
    blocked = run.journal["run"][0]
    assert blocked["duration"] < 200, "it has not waited for the action that blocks"
    assert run.marks() == ["fault_begin", "heal_begin", "heal_end", "load_end", "drained"]
    assert why in (run.drill / "report.md").read_text().replace("\\", "")


def test_a_condition_that_could_never_be_seen_is_refused_before_anything_is_injected(started: dict[str, Run]) -> None:
    run = started["blind"]
    run.end(60)
    assert run.line("Verdict") == "unknown"
    assert run.line("Why").startswith("the abort condition age_s cannot be watched: nothing reads")
    assert "fault_begin" not in run.marks()


def test_two_terminals_at_once(lab: Place, tmp_path: Path) -> None:
    """Go and abort race: whoever is first, the drill ends in good order, is not met, and nothing is left."""
    place = Place(tmp_path, lab.endpoint, lab.state)
    run = place.start_beside(quiet(foreign("sleep", "blocks", arguments={"seconds": LONG_S})), "race", env=HOLD)
    try:
        run.wait_phase("hold")
        env = {**run.env, MARKER: "other terminals"}
        race = [
            subprocess.Popen(
                [PROGRAMS / "chaosdrills", command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for command in ("go", "abort")
        ]
        said = [process.communicate(timeout=60) for process in race]
        assert race[1].returncode == 0, said
        assert race[0].returncode in (0, 64, 69), said
        run.end(30)
        ended_by_abort(run, BY)
    finally:
        run.end_all()


def test_an_abort_in_mid_fault_on_real_brokers_heals_them(place: Place) -> None:
    run = place.start(experiment())
    run.wait_for(f"Action: {WAIT}")
    assert [entry.fault for entry in outstanding()[0]] == ["kill"]
    done = run.drills("abort", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["whole"], told["left"], told["verdict"]) == (True, [], "unknown")
    run.end(5)
    ended_by_abort(run, f"{BY} '{WAIT}'")
    assert run.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
    assert outstanding() == ([], [])


def test_an_abort_condition_heals_real_brokers_while_the_method_blocks(place: Place) -> None:
    """Two of three brokers are killed, so that no write is acknowledged, and the method does nothing about it."""
    described = experiment()
    kill = action(described, "kill the leader")
    kill["provider"]["arguments"] = {"role": "followers", "partition": 0}
    described["method"] = [kill, foreign("sleep", "blocks", arguments={"seconds": LONG_S})]
    described["rollbacks"] = []
    control(described)["abort_when"] = {"bad_share": 0.5, "for_s": 2}
    run = place.start(described)
    run.end(120)
    assert run.status == 1, run.log
    assert run.line("Verdict") == "unknown", run.log
    assert run.line("Why").startswith("aborted by its abort condition (up to ")
    assert run.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
    assert run.journal["run"][1]["duration"] < 200
    assert outstanding() == ([], [])
