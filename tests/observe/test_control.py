"""The observe control's hooks by themselves: what is refused, what is marked, and what never fails a run silently."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import InterruptExecution, InvalidActivity
from chaoslib.run import EventHandlerRegistry
from chaoslib.types import Dry

from chaosdrills.core.judge import Limits
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults import lock, marking
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import release_when_healed
from chaosdrills.faults.injection import inject
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_target
from chaosdrills.observe import control
from chaosdrills.observe.arguments import polls_of
from chaosdrills.observe.current import current, set_current
from chaosdrills.observe.endpoints import unaddressed
from tests.faults import toy
from tests.observe.drills import over, write_record

WORKLOAD = "tests.observe.memory_workload:MemoryWorkload"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    control.cleanup_control()
    marking.set_marker(None)
    set_current(None)
    lock.release()


def action(name: str, module: str = "somebody.else", **more: Any) -> dict[str, Any]:
    return {"type": "action", "name": name, "provider": {"type": "python", "module": module, "func": "f"}, **more}


def experiment(*method: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "it holds", "method": list(method or [action("break it")]), **more}


def journal(**more: Any) -> dict[str, Any]:
    return {"status": "completed", "deviated": False, "node": "box", "run": [], "rollbacks": [], **more}


def validated(**arguments: Any) -> None:
    control.validate_control(
        {"name": "observe", "provider": {"arguments": {"service": "s", "workload": WORKLOAD, **arguments}}}
    )


def begin(described: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Start a drill of the memory workload; returns the configuration."""
    configuration: dict[str, Any] = {"memory_flavour": ""}
    given = {"service": "memory", "workload": WORKLOAD, "progress": False, **arguments}
    control.before_experiment_control(described, configuration, **given)
    return configuration


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"drain_timeout": 5}, "no argument 'drain_timeout'"),
        ({"drain_timeout_s": "soon"}, "a timeout of the observe control is no number"),
        ({"start_timeout_s": -1}, "start_timeout_s is -1"),
        ({"parameters": {"stable": 5}}, "parameters are {'stable': 5}"),
        ({"parameters": {"stable_s": 0}}, "stable_s is 0"),
        ({"parameters": {"recovery": "never"}}, "recovery is 'never'"),
        ({"rate_per_s": 0}, "rate_per_s is 0"),
        ({"rate_per_s": "fast"}, "rate_per_s is 'fast'"),
        ({"abort_when": {"age_s": 0}}, "age_s must be seconds, above 0"),
        ({"abort_when": {"for_s": 30}}, "it names no condition"),
        ({"polls": "app"}, "polls are no list"),
        ({"polls": [{"nme": "app", "url": "http://h"}]}, "the poll number 1 cannot be used: there is no 'nme'."),
        (
            {"polls": [{"name": "app", "url": "http://h", "rates": 1}]},
            "there is no 'rates'. Try: did you mean rate_per_s?",
        ),
        ({"polls": [{"name": "app", "url": "http://u:hush@h"}]}, "its url holds a user's name or password"),
        ({"polls": [{"name": "app", "url": "http://h", "rate_per_s": 0.1}]}, "comes every 10 s, and after fresh_s"),
        ({"pols": []}, "no argument 'pols'. Try: did you mean polls?"),
        ({"watches": "healer"}, "watches are no list"),
        ({"watches": [{"name": "healer", "source": "a:B", "every": 1}]}, "there is no 'every'"),
        ({"watches": [{"name": "healer", "url": "http://u:hush@h", "metric": "a"}]}, "holds a user's name or password"),
        ({"workload": ""}, "there is no workload ''"),
        ({"workload": "chaosdrills.nowhere:W"}, "there is no workload 'chaosdrills.nowhere:W'"),
        ({"workload": ".W:W"}, "there is no workload '.W:W'"),
        ({"rate_per_s": 10**400}, "rate_per_s is 1000"),
        ({"drain_timeout_s": 10**400}, "a timeout of the observe control is no number"),
        ({"rates_per_s": 5}, "no argument 'rates_per_s'. Try: did you mean rate_per_s?"),
        ({"speed": 5}, "no argument 'speed'. Try: it takes "),
        ({"parametres": {}}, "no argument 'parametres'. Try: did you mean parameters?"),
        ({"faults": "kill"}, "faults is 'kill'. Try: give a list of texts, or null."),
        ({"service": 5}, "service is 5. Try: give a text."),
        ({"service": ""}, "needs the argument 'service'"),
        ({"progress": "no"}, "progress is 'no'. Try: give true or false."),
        ({"parameters": {"baseline_s": 3}}, "baseline_s is 3 and stable_s 5: there could be no baseline."),
        ({"parameters": {"recovered_ratio": 90}}, "recovered_ratio is 90"),
        ({"workload_arguments": []}, "workload_arguments is []. Try: give an object, or null."),
        ({"workload": "json:W"}, "there is no workload 'json:W'"),
    ],
)
def test_validation_refuses_what_cannot_be_used(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidActivity, match="control 'observe': ") as caught:
        validated(**arguments)
    assert why in str(caught.value)
    assert "Try: " in str(caught.value)


def test_validation_has_the_workload_look_at_its_arguments() -> None:
    kafka, known = "chaosdrills.kafka.workload:KafkaWorkload", {"bootstrap_servers": "${servers}"}
    validated(workload=kafka, workload_arguments={**known, "partitions": 3, "properties_file": "${file}"})
    validated(workload=kafka, workload_arguments={**known, "min_insync_replicas": 4, "replication_factor": "${rf}"})
    for wrong, why in (
        ({}, "was given no bootstrap_servers"),
        ({**known, "partitons": 3}, "no argument 'partitons'. Try: did you mean partitions?"),
        ({**known, "partitions": "many"}, "partitions is 'many'"),
        ({**known, "min_insync_replicas": 4}, "min_insync_replicas 4 is more than replication_factor 3"),
    ):
        with pytest.raises(InvalidActivity, match="control 'observe': ") as caught:
            validated(workload=kafka, workload_arguments=wrong)
        assert why in str(caught.value)


def test_validation_passes_over_what_is_known_only_in_a_run() -> None:
    validated(polls=[{"name": "app", "url": "${app_url}/health", "rate_per_s": "${rate}"}])
    validated(polls="${polls}")
    with pytest.raises(InvalidActivity, match="did you mean timeout_s"):
        validated(polls=[{"name": "app", "url": "${app_url}/health", "timeout": 1}])


def test_users_cannot_be_judged_without_polls() -> None:
    tolerance = {"type": "range", "target": "unavailable_judged_s", "range": [0, 60]}
    provider = {"type": "python", "module": "chaosdrills.observe.probes", "func": "availability"}
    probe = {"type": "probe", "name": "users", "tolerance": tolerance, "provider": provider}
    described = experiment(**{"steady-state-hypothesis": {"title": "t", "probes": [probe]}})
    with pytest.raises(InterruptExecution, match=r"bounds unavailable_judged_s, .*: no endpoint is polled"):
        begin(described)


def test_an_endpoint_without_a_url_is_checked_all_the_same_and_then_left_out() -> None:
    nowhere, app = {"name": "app", "url": ""}, {"name": "web", "url": "http://h"}
    limits, parameters = Limits(rto_s=60, max_unavailable_s=60), Parameters()
    assert unaddressed([nowhere, app]) == ("app",)
    assert polls_of([nowhere, app], limits, parameters) == ([app], limits)
    assert polls_of([nowhere], limits, parameters) == ([], Limits(rto_s=60))
    for wrong, why in ((dict(nowhere, rate=1), "no 'rate'"), (dict(nowhere, expect=5), "its expect is no object")):
        with pytest.raises(UsageError, match=why):
            polls_of([wrong], limits, parameters)
    with pytest.raises(UsageError, match="two polls are named 'app'"):
        polls_of([nowhere, {**app, "name": "app"}], limits, parameters)
    with pytest.raises(InvalidActivity, match="its url is none of http or https"):
        validated(polls=[nowhere])


def test_validation_of_arguments_that_are_no_object() -> None:
    with pytest.raises(InvalidActivity, match="arguments are no object"):
        control.validate_control({"name": "observe", "provider": {"arguments": ["workload"]}})


def test_validation_passes_what_can_be_used_and_what_only_a_run_knows() -> None:
    validated(abort_when={"age_s": 60, "bad_share": 0.5, "for_s": 30})
    validated(abort_when={"age_s": "${most}"})
    validated(name="n", faults=["f"], heals=[], drain_timeout_s=5, parameters={"stable_s": 3}, rate_per_s=10.5)
    validated(rate_per_s="${rate}", parameters={"watch_s": "${watch}"}, workload="${w}", drain_timeout_s="${d}")


@pytest.mark.parametrize(
    ("method", "arguments", "why"),
    [
        ([action("a", pauses={"before": 3})], {}, "the fault 'a' has a pause before it"),
        ([action("a"), action("b", pauses={"before": 3})], {"faults": ["b"]}, "the fault 'b' has a pause before it"),
        ([action("a")], {"faults": ["b"]}, "the observe control's fault 'b' is no action of the method"),
        ([action("a")], {"heals": ["b"]}, "the observe control's heal 'b' is no action"),
        ([action("a"), action(["b"])], {}, "an action is named ['b']"),
        ([action("a")], {"rate_per_s": -1}, "rate_per_s is -1"),
        ([action("a")], {"parameters": {"gap": 1}}, "parameters are {'gap': 1}"),
        ([action("a")], {"workload": "json:W"}, "there is no workload 'json:W'"),
        ([action("a")], {"workload_arguments": {"refuse": "it is closed."}}, "it is closed. Try: start it."),
        ([action("a")], {"journals": "/proc/nowhere"}, "cannot make the folder /proc/nowhere/"),
    ],
)
def test_what_cannot_be_observed_interrupts_the_run(method: Any, arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InterruptExecution) as caught:
        begin(experiment(*method), **arguments)
    assert why in str(caught.value)
    assert "Try: " in str(caught.value)


def test_a_wish_to_hold_that_cannot_be_read_interrupts_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOSDRILLS_HOLD", "yes")
    with pytest.raises(InterruptExecution, match="CHAOSDRILLS_HOLD is 'yes'"):
        begin(experiment())


def test_a_pause_after_a_fault_and_before_another_action_is_fine() -> None:
    begin(experiment(action("a", pauses={"after": 3}), action("b", pauses={"before": 3})))
    assert current() is not None


def test_an_unexpected_error_interrupts_the_run_too() -> None:
    with pytest.raises(InterruptExecution, match="The observe control failed: KeyError: 'title'"):
        begin({"method": []})


def test_two_observe_controls_are_refused() -> None:
    begin(experiment())
    with pytest.raises(InterruptExecution, match="the experiment has two observe controls"):
        begin(experiment())


@pytest.mark.parametrize("dry", [Dry.ACTIONS, Dry.ACTIVITIES])
def test_a_dry_run_observes_nothing(tmp_path: Path, dry: Dry) -> None:
    begin(experiment(dry=dry))
    assert current() is None
    assert not (tmp_path / "journals").exists()
    ended = journal()
    control.after_experiment_control(experiment(dry=dry), ended)
    assert ended == journal(node="")


@pytest.mark.parametrize("dry", [Dry.PROBES, Dry.PAUSE])
def test_a_dry_run_that_would_inject_is_refused(dry: Dry) -> None:
    with pytest.raises(InterruptExecution, match=f"with '--dry {dry.value}' faults are injected"):
        begin(experiment(dry=dry))


def test_what_the_workload_says_is_told_to_activities_but_never_over_the_users_word() -> None:
    assert begin(experiment())["memory_flavour"] == "memory"
    control.cleanup_control()
    configuration = {"memory_flavour": "mine"}
    control.before_experiment_control(experiment(), configuration, service="memory", workload=WORKLOAD, progress=False)
    assert configuration == {"memory_flavour": "mine"}


def marks() -> list[tuple[str, str]]:
    drill = current()
    assert drill is not None
    drill.give_up()
    return [(mark.name, mark.label) for mark in drill.judged().history.marks if mark.name[0] in "fh"]


def activity(one: dict[str, Any], status: str | None = "succeeded", output: Any = None) -> None:
    """One activity between its two hooks; `status` None: it was interrupted."""
    control.before_activity_control(one)
    state = None if status is None else {"activity": one, "status": status, "output": output}
    control.after_activity_control(one, state)


def test_the_first_action_is_the_fault_unless_others_are_named() -> None:
    begin(experiment(action("a"), action("b")))
    activity(action("a"))
    activity(action("b"))
    assert marks() == [("fault_begin", "a"), ("fault_end", "a")]


def test_named_faults_and_heals_are_marked() -> None:
    begin(experiment(action("a"), action("b"), action("c")), faults=["b"], heals=["c"])
    for name in ("a", "b", "c"):
        activity(action(name))
    assert marks() == [("fault_begin", "b"), ("fault_end", "b"), ("heal_begin", "c"), ("heal_end", "c")]


@pytest.mark.parametrize(
    ("status", "output"), [("failed", None), (None, None), ("succeeded", []), ("succeeded", False)]
)
def test_a_fault_that_failed_or_hit_nothing_has_no_end(status: str | None, output: Any) -> None:
    begin(experiment(action("a")))
    activity(action("a"), status, output)
    assert marks() == [("fault_begin", "a")]


def test_faults_that_mark_themselves_and_dry_ones_are_left_alone() -> None:
    ours, dry = action("a", "chaosdrills.kafka.actions"), action("b", dry="actions")
    begin(experiment(ours, dry), faults=["a", "b"])
    activity(ours)
    activity(dry)
    assert marks() == []


def test_a_fault_that_cannot_be_marked_is_not_injected() -> None:
    begin(experiment(action("a")))
    drill = current()
    assert drill is not None
    drill.close()
    with pytest.raises(InterruptExecution, match="the observer has ended"):
        control.before_activity_control(action("a"))
    assert drill.trouble.startswith("the observer has ended")


def test_background_faults_are_waited_for() -> None:
    described = experiment(action("a", background=True), action("b", background=True), action("c"))
    begin(described, faults=["a", "c"], parameters={"baseline_s": 0.5, "stable_s": 0.5})
    control.before_method_control(described)
    drill = current()
    assert drill is not None
    assert drill.pending_faults == {"a"}
    activity(action("a"), "failed")
    assert drill.pending_faults == set()


def test_a_limit_on_fresh_data_that_nobody_reads_is_refused_before_anything_is_injected() -> None:
    tolerance = {"type": "range", "target": "fresh_judged_s", "range": [0, 60]}
    provider = {"type": "python", "module": "chaosdrills.observe.probes", "func": "recovery_time"}
    probe = {"type": "probe", "name": "fresh", "tolerance": tolerance, "provider": provider}
    described = experiment(**{"steady-state-hypothesis": {"title": "-", "probes": [probe]}})
    begin(described, parameters={"baseline_s": 0.5, "stable_s": 0.5})
    with pytest.raises(InterruptExecution, match="bounds fresh_judged_s, which cannot be known: nothing reads"):
        control.before_method_control(described)


def test_a_drill_that_is_left_without_rollbacks_after_an_abort_is_healed(tmp_path: Path) -> None:
    """chaoslib had just left the method by an error of its own when the signal of the abort came."""
    with toy.toy_cluster(tmp_path) as cluster:
        begin(experiment())
        drill = current()
        assert drill is not None
        inject(Kill(), [node_target(cluster, 2, "server 2", "id")])
        drill.abort.why = "aborted by a test"
        control.cleanup_control()
        assert toy.answers(cluster.node(2).endpoint)
        assert outstanding() == ([], [])


def test_what_a_drill_runs_itself_hands_nothing_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    registry = EventHandlerRegistry()
    monkeypatch.setenv("CHAOSDRILLS_OUTCOME", str(tmp_path / "outcome.json"))
    control.configure_control(registry, service="memory")
    assert "CHAOSDRILLS_OUTCOME" not in os.environ
    registry.finish({"experiment": {}, "status": "failed"})
    assert json.loads((tmp_path / "outcome.json").read_text())["status"] == "failed"


def test_the_lock_is_kept_from_the_first_fault_until_the_drill_has_ended() -> None:
    begin(experiment())
    assert lock.holder() is None
    marking.mark("fault_begin", "kill of a broker")
    release_when_healed()
    assert lock.holder() is not None, "another drill's fault would be taken for what this one did"
    control.cleanup_control()
    assert lock.holder() is None


def test_nothing_is_injected_any_more_once_the_method_is_left() -> None:
    begin(experiment())
    drill = current()
    assert drill is not None
    drill.abort.left = True
    with pytest.raises(UnavailableError, match="the drill is being left; nothing was injected"):
        marking.mark("fault_begin", "kill of a broker")
    marking.mark("heal_begin", "its heal")
    assert marks() == [("heal_begin", "its heal")]
    control.cleanup_control()
    with pytest.raises(UnavailableError, match="the drill is over; nothing was injected"):
        marking.mark("fault_begin", "kill of a broker")
    marking.mark("heal_begin", "marked nowhere")


def test_what_may_have_been_healed_by_somebody_is_never_met() -> None:
    repair = action("repair it")
    for heals, doubted in ((None, True), ([], False), (["repair it"], False)):
        begin(experiment(action("break it"), repair), heals=heals)
        drill = current()
        assert drill is not None
        assert [check.name for check in drill.checks] == (["heals are named"] if doubted else [])
        control.cleanup_control()


def test_the_last_word_is_said_once_the_toolkit_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    registry = EventHandlerRegistry()
    control.configure_control(registry, service="memory")
    registry.finish({"experiment": {}})
    assert capsys.readouterr().out.splitlines()[0] == "Verdict: unknown"
    registry.finish({"experiment": {"dry": Dry.ACTIVITIES}})
    assert capsys.readouterr().out == ""


def judged(folder: Path, ended: dict[str, Any], **record: Any) -> dict[str, Any]:
    """The journal after the last hook of a drill with this record."""
    folder.mkdir()
    write_record(folder / "record", **record)
    drill = over(folder)
    drill._last_figures = {}
    drill.judged()
    set_current(drill)
    control.after_experiment_control(experiment(), ended)
    return ended


def test_the_summary_is_in_the_journal(tmp_path: Path) -> None:
    ended = judged(tmp_path / "run", journal())
    assert (ended["status"], ended["node"]) == ("completed", "")
    assert ended["chaosdrills"] == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert ended["chaosdrills"]["verdict"] == "met"


def test_what_is_not_met_is_failed(tmp_path: Path) -> None:
    assert judged(tmp_path / "run", journal(), lost=1)["status"] == "failed"


@pytest.mark.parametrize(
    "more", [{"status": "interrupted"}, {"status": "aborted"}, {"status": "failed"}, {"deviated": True}]
)
def test_what_the_toolkit_says_already_stays(tmp_path: Path, more: dict[str, Any]) -> None:
    before = journal(**more)
    ended = judged(tmp_path / "run", dict(before), lost=1)
    assert {name: ended[name] for name in more} == more
    assert ended["chaosdrills"]["verdict"] == "missed"


def test_an_interrupted_run_is_never_met(tmp_path: Path) -> None:
    summary = judged(tmp_path / "run", journal(status="interrupted"))["chaosdrills"]
    assert summary["verdict"] == "unknown"
    assert summary["why"][0].startswith("drill: the run was interrupted in the phase")


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, twice, while the drill is concluded."""
    really = control.conclude

    def interrupted(*arguments: Any) -> Any:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        return really(*arguments)

    monkeypatch.setattr(control, "conclude", interrupted)


def test_ctrl_c_at_the_very_end_denies_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = EventHandlerRegistry()
    control.configure_control(registry)
    hurry(monkeypatch)
    ended = journal()
    with pytest.raises(KeyboardInterrupt):
        judged(tmp_path / "run", ended, lost=1)
    registry.finish({"experiment": {}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Verdict: missed"
    assert lines[4] == f"Report: {tmp_path / 'run' / 'report.html'}" or lines[4] == "Report: run/report.html"
    assert (ended["status"], ended["chaosdrills"]["verdict"]) == ("failed", "missed")
    assert (tmp_path / "run" / "report.html").exists()


def test_a_run_that_was_never_concluded_says_where_its_record_is(capsys: pytest.CaptureFixture[str]) -> None:
    registry = EventHandlerRegistry()
    control.configure_control(registry)
    begin(experiment())
    drill = current()
    assert drill is not None
    control.cleanup_control()
    registry.finish({"experiment": {}})
    assert capsys.readouterr().out.splitlines() == [
        "Verdict: unknown",
        "RTO: not measured",
        "Lost: not known",
        "Why: the run was cut short before its record was judged",
        f"Report: none was written; judge the record: chaos drills judge {drill.record}",
    ]


def test_a_drill_that_cannot_be_concluded_is_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise UsageError("it is broken.")

    monkeypatch.setattr(control, "conclude", broken)
    ended = judged(tmp_path / "run", journal())
    assert ended["status"] == "failed"
    assert "chaosdrills" not in ended
