"""The order in which a fault is written down, marked and done, and what happens if one of these fails."""

import json

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import lock, marking
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_target
from tests.faults import toy
from tests.faults.injector import die_in_mid_fault, injecting_process


def targets(cluster, *ids, role="id"):
    return [node_target(cluster, node_id, f"server {node_id}", role) for node_id in ids]


def alive():
    return {node.id: node.alive for node in toy.now().nodes}


def test_the_order_is_heal_log_begin_deed_end(cluster):
    seen = []

    def marker(name, label, at_ns):
        logged = [entry.target.label for entry in outstanding()[0]]
        seen.append((name, label, logged, alive()))

    marking.set_marker(marker, "the drill")
    what = inject(Kill(), targets(cluster, 1, 3))
    assert what == "kill -9 of server 1 and kill -9 of server 3"
    logged = ["server 1", "server 3"]
    assert seen == [
        ("fault_begin", what, logged, {1: True, 2: True, 3: True}),
        ("fault_end", what, logged, {1: False, 2: True, 3: False}),
    ]
    assert [entry.drill for entry in outstanding()[0]] == ["the drill", "the drill"]


def test_no_fault_without_evidence(cluster):
    def broken(name, label, at_ns):
        raise BrokenPipeError("observer is dead")

    marking.set_marker(broken)
    with pytest.raises(UnavailableError, match="did not record the mark fault_begin"):
        inject(Kill(), targets(cluster, 2))
    assert alive() == {1: True, 2: True, 3: True}
    assert outstanding() == ([], [])
    with injecting_process("kill", targets(cluster, 2)[0]):
        assert alive() == {1: True, 2: False, 3: True}, "the lock was not given back"


def test_no_fault_without_a_heal_log(cluster, state, marks):
    (state / "heal").mkdir(parents=True, exist_ok=True)
    (state / "heal").rmdir()
    (state / "heal").write_text("in the way")
    with pytest.raises(UnavailableError, match="cannot make the folder"):
        inject(Kill(), targets(cluster, 2))
    assert alive() == {1: True, 2: True, 3: True}
    assert marks == []


def test_a_target_that_ended_is_neither_logged_nor_marked(cluster, marks):
    gone = targets(cluster, 2)
    Kill().inject(gone[0])
    with pytest.raises(UnavailableError, match=r"server 2 .* nothing was hit"):
        inject(Kill(), targets(cluster, 1) + gone)
    assert alive() == {1: True, 2: False, 3: True}
    assert (marks, outstanding()) == ([], ([], []))


class FailsOnTwo(Kill):
    """A kill that does not work on server 2."""

    def inject(self, target):
        if target.label == "server 2":
            raise UnavailableError("the disk hangs", "wait")
        super().inject(target)


def test_a_deed_that_fails_has_no_end_and_keeps_its_entries(cluster, marks):
    with pytest.raises(UnavailableError, match="the disk hangs"):
        inject(FailsOnTwo(), targets(cluster, 1, 2))
    assert [name for name, _ in marks] == ["fault_begin"]
    assert [entry.target.label for entry in outstanding()[0]] == ["server 1", "server 2"]
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed", "nothing to do"]
    assert alive() == {1: True, 2: True, 3: True}


def test_an_end_that_is_not_recorded_fails_the_fault(cluster):
    def begin_only(name, label, at_ns):
        if name == "fault_end":
            raise OSError("disk is full")

    marking.set_marker(begin_only)
    with pytest.raises(UnavailableError, match="did not record the mark fault_end"):
        inject(Kill(), targets(cluster, 2))
    assert [entry.target.label for entry in outstanding()[0]] == ["server 2"]


def test_a_second_fault_of_the_same_drill_is_allowed(cluster, marks):
    inject(Kill(), targets(cluster, 1))
    inject(Kill(), targets(cluster, 2))
    assert [name for name, _ in marks] == ["fault_begin", "fault_end", "fault_begin", "fault_end"]


def test_while_another_drill_has_faults_outstanding_nothing_is_injected(cluster, marks):
    with injecting_process("kill", targets(cluster, 1)[0]) as other:
        with pytest.raises(UnavailableError, match=rf"process {other.pid} \(another drill\); nothing was injected"):
            inject(Kill(), targets(cluster, 2))
        assert alive() == {1: False, 2: True, 3: True}
        assert marks == []


def test_what_a_dead_drill_left_broken_must_be_healed_first(cluster, marks):
    die_in_mid_fault("kill", targets(cluster, 1)[0])
    with pytest.raises(UnavailableError) as raised:
        inject(Kill(), targets(toy.now(), 2))
    assert raised.value.message == "an earlier drill left toy broken (kill -9 of server 1); nothing was injected."
    assert raised.value.hint == "run 'chaos drills heal' first."
    assert (alive(), marks) == ({1: False, 2: True, 3: True}, [])


def test_what_a_dead_drill_left_and_is_whole_again_is_forgotten(cluster, marks):
    die_in_mid_fault("kill", targets(cluster, 1)[0])
    [left] = outstanding()[0]
    Kill().heal(left.target)
    inject(Kill(), targets(toy.now(), 2))
    assert [entry.target.label for entry in outstanding()[0]] == ["server 2"]


def test_a_damaged_entry_blocks_the_next_fault(cluster, state, marks):
    path = state / "heal" / "broken.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"version": 1}))
    with pytest.raises(UnavailableError, match=r"a damaged heal log entry, .*broken\.json"):
        inject(Kill(), targets(cluster, 2))
    assert (alive(), marks) == ({1: True, 2: True, 3: True}, [])


def test_the_lock_is_held_until_all_is_healed(cluster):
    inject(Kill(), targets(cluster, 1))
    inject(Kill(), targets(cluster, 2))
    heal_outstanding(wanted=lambda entry: entry.target.label == "server 1")
    assert lock._held
    heal_outstanding()
    assert not lock._held
