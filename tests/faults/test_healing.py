"""Healing: what is healed, what is refused, what fails, and its marks."""

import json

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import heal_log, lock, marking
from chaosdrills.faults.fault import Target
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import Outcome, alone, heal_outstanding, what
from chaosdrills.faults.injection import inject
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_target
from chaosdrills.host import nodes
from tests.faults import toy
from tests.faults.injector import die_in_mid_fault, injecting_process


def kill(cluster, *ids, role="id"):
    targets = [node_target(cluster, node_id, f"server {node_id}", role) for node_id in ids]
    inject(Kill(), targets)
    return [entry.id for entry in outstanding()[0]]


def answering(cluster):
    return {node.id: toy.answers(node.endpoint) for node in cluster.nodes}


def change(state, name, **values):
    path = state / "heal" / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return path


def test_nothing_outstanding_is_nothing_to_do(marks):
    healing = heal_outstanding()
    healing.demand()
    assert (healing.outcomes, healing.unmarked, marks) == ([], "", [])


def test_all_is_healed_between_two_marks(cluster, marks):
    first, second = kill(cluster, 1, 3)
    del marks[:]
    healing = heal_outstanding()
    healing.demand()
    assert healing.outcomes == [
        Outcome(first, "toy", "kill -9 of server 1", "healed"),
        Outcome(second, "toy", "kill -9 of server 3", "healed"),
    ]
    label = "heal of kill -9 of server 1 and heal of kill -9 of server 3"
    assert marks == [("heal_begin", label), ("heal_end", label)]
    assert answering(cluster) == {1: True, 2: True, 3: True}
    assert outstanding() == ([], [])


def test_the_begin_is_marked_before_anything_is_started(cluster):
    kill(cluster, 1)
    seen = []
    marking.set_marker(lambda name, label, at_ns: seen.append((name, answering(cluster)[1])))
    heal_outstanding()
    assert seen == [("heal_begin", False), ("heal_end", True)]


def test_what_runs_again_is_nothing_to_do_and_not_marked(cluster, marks):
    [entry] = kill(cluster, 1)
    nodes.start_node(toy.SERVICE, 1)
    del marks[:]
    assert heal_outstanding().outcomes == [Outcome(entry, "toy", "kill -9 of server 1", "nothing to do")]
    assert (marks, outstanding()) == ([], ([], []))


def test_the_entry_of_a_fault_that_is_still_to_come_is_kept(cluster):
    """Somebody heals while two are being stopped: the second runs as yet."""
    entry = heal_log.plan("kill", node_target(cluster, 1, "server 1", "id"))
    heal_log.under_way.add(entry.id)
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["nothing to do"]
    assert [one.id for one in outstanding()[0]] == [entry.id]
    heal_log.under_way.discard(entry.id)
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["nothing to do"]
    assert outstanding() == ([], [])


def test_one_whose_handle_cannot_be_read_is_told_and_keeps_no_other_from_being_healed(cluster):
    kill(cluster, 1)
    odd = Target("toy", "server 3", "id", {"node": 3, "scope": "all", "latency_ms": "x", "jitter_ms": 0})
    entry = heal_log.plan("slow", odd)
    assert what(entry) == "slow of server 3"
    assert heal_outstanding().count("healed") == 1
    assert answering(cluster)[1]


def test_a_lab_that_is_gone_is_nothing_to_do(cluster, marks):
    kill(cluster, 1)
    written_down = toy.now()
    nodes.forget(toy.SERVICE)
    del marks[:]
    try:
        assert [outcome.result for outcome in heal_outstanding().outcomes] == ["nothing to do"]
    finally:
        nodes.save(written_down)
    assert (marks, outstanding()) == ([], ([], []))


def test_a_restart_of_the_machine_left_nothing_to_do(cluster, state):
    [entry] = kill(cluster, 1)
    change(state, entry, boot_id="another")
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["nothing to do"]
    assert not answering(cluster)[1]


def test_only_what_is_wanted_is_healed(cluster):
    kill(cluster, 1, 3, role="follower")
    kill(cluster, 2, role="leader")
    healing = heal_outstanding(wanted=lambda entry: entry.target.role == "follower")
    assert [outcome.what for outcome in healing.outcomes] == ["kill -9 of server 1", "kill -9 of server 3"]
    assert answering(cluster) == {1: True, 2: False, 3: True}
    assert [entry.target.label for entry in outstanding()[0]] == ["server 2"]


def test_another_services_faults_are_left_alone(cluster):
    kill(cluster, 1)
    assert heal_outstanding("kafka").outcomes == []
    assert [entry.target.label for entry in outstanding()[0]] == ["server 1"]


def test_a_heal_that_fails_keeps_its_entry_has_no_end_and_the_others_are_healed(cluster, marks):
    kill(cluster, 1, 3)
    changed = toy.now()
    changed.node(1).argv = ["/nonexistent/server"]
    nodes.save(changed)
    del marks[:]
    healing = heal_outstanding()
    assert [(outcome.what, outcome.result, outcome.why, outcome.hint) for outcome in healing.outcomes] == [
        (
            "kill -9 of server 1",
            "failed",
            "cannot start /nonexistent/server: No such file or directory.",
            "check that it is installed and may be executed.",
        ),
        ("kill -9 of server 3", "healed", "", ""),
    ]
    assert [name for name, _ in marks] == ["heal_begin"]
    assert [entry.target.label for entry in outstanding()[0]] == ["server 1"]
    with pytest.raises(UnavailableError, match=r"kill -9 of server 1: cannot start /nonexistent/server"):
        healing.demand()


def test_a_failed_heal_can_be_repeated(cluster, marks):
    kill(cluster, 1)
    whole = toy.now()
    broken = toy.now()
    broken.node(1).argv = ["/bin/false"]
    nodes.save(broken)
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["failed"]
    nodes.save(whole)
    del marks[:]
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed"]
    assert [name for name, _ in marks] == ["heal_begin", "heal_end"]


def test_a_damaged_entry_names_its_file_and_the_others_are_healed(cluster, state):
    damaged, whole = kill(cluster, 1, 3)
    path = state / "heal" / f"{damaged}.json"
    path.write_text(path.read_text()[:40])
    healing = heal_outstanding()
    assert [outcome.result for outcome in healing.outcomes] == ["failed", "healed"]
    assert healing.outcomes[0].what == f"heal log entry {path}"
    assert healing.outcomes[0].why.startswith("it is damaged: ")
    assert healing.outcomes[0].hint.endswith(f"then delete {path}.")
    assert healing.outcomes[1].id == whole
    assert path.exists()


def test_a_handle_that_the_fault_does_not_know_is_damage(cluster, state):
    [entry] = kill(cluster, 1)
    path = change(state, entry, target={"label": "server 1", "role": "id", "handle": {"container": "x"}})
    [outcome] = heal_outstanding().outcomes
    assert (outcome.result, outcome.what) == ("failed", f"heal log entry {path}")
    assert outcome.why == "it is damaged: its target's handle is not one of 'kill' ('node')"


def test_a_fault_of_a_newer_version_is_left_to_it(cluster, state):
    [entry] = kill(cluster, 1)
    change(state, entry, fault="freeze")
    assert heal_outstanding().outcomes == [
        Outcome(
            entry,
            "toy",
            "freeze of server 1",
            "failed",
            "this version knows no fault 'freeze'",
            "heal with the version that injected it.",
        )
    ]


def test_the_fault_of_a_living_process_is_refused_unless_forced(cluster):
    target = node_target(cluster, 2, "server 2", "id")
    with injecting_process("kill", target) as other:
        [outcome] = heal_outstanding().outcomes
        assert (outcome.result, outcome.why) == ("refused", f"process {other.pid}, which injected it, still runs")
        assert not answering(cluster)[2]
        assert [outcome.result for outcome in heal_outstanding(force=True).outcomes] == ["healed"]
        assert answering(cluster)[2]


def test_a_process_heals_what_an_earlier_one_left(cluster, marks):
    die_in_mid_fault("kill", node_target(cluster, 2, "server 2", "id"))
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed"]
    assert [name for name, _ in marks] == ["heal_begin", "heal_end"]


@pytest.mark.parametrize("broken", ["heal_begin", "heal_end"])
def test_a_service_is_healed_even_where_its_marks_fail_and_that_is_told(cluster, broken):
    kill(cluster, 1)
    kept = []

    def marker(name, label, at_ns):
        if name == broken:
            raise BrokenPipeError("observer is dead")
        kept.append(name)

    marking.set_marker(marker)
    healing = heal_outstanding()
    assert [outcome.result for outcome in healing.outcomes] == ["healed"]
    assert answering(cluster)[1]
    assert kept == ([] if broken == "heal_begin" else ["heal_begin"])
    with pytest.raises(UnavailableError, match=f"no evidence of it: the observer did not record the mark {broken}"):
        healing.demand()


def test_alone_the_lock_is_held_until_all_is_healed(cluster):
    with alone():
        kill(cluster, 1)
    assert lock.held_by(), "a fault of this process is outstanding"
    with alone():
        heal_outstanding()
        assert lock.held_by(), "what is healed in it does not end it"
    assert not lock.held_by()


def test_alone_gives_the_lock_back_where_nothing_was_injected():
    with pytest.raises(UnavailableError), alone():
        raise UnavailableError("no such broker")
    assert not lock.held_by()


def test_one_odd_entry_keeps_no_other_from_being_healed(cluster, monkeypatch):
    kill(cluster, 1, 3)
    wait_healed, seen = Kill.wait_healed, []

    def odd(self, target, timeout_s):
        seen.append(target.handle["node"])
        if len(seen) == 1:
            raise RuntimeError("nobody has thought of this")
        wait_healed(self, target, timeout_s)

    monkeypatch.setattr(Kill, "wait_healed", odd)
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["failed", "healed"]
    assert len(outstanding()[0]) == 1
