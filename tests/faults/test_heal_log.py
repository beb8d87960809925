"""The heal log's file format and what is done with damaged files."""

import json
import os

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import heal_log
from chaosdrills.faults.fault import Target
from chaosdrills.faults.heal_log import outstanding, plan, remove
from chaosdrills.host.processes import Identity, identify

TARGET = Target("kafka", "broker 2 (leader of t/0)", "leader", {"node": 2, "pid": 3, "start_ticks": 4})


def test_an_entry_is_a_file_that_anyone_can_read(state):
    entry = plan("kill", TARGET, "kafka-broker-loss")
    me = identify(os.getpid())
    assert json.loads((state / "heal" / f"{entry.id}.json").read_text()) == {
        "version": 1,
        "id": entry.id,
        "fault": "kill",
        "service": "kafka",
        "target": {
            "label": "broker 2 (leader of t/0)",
            "role": "leader",
            "handle": {"node": 2, "pid": 3, "start_ticks": 4},
        },
        "began_at": entry.began_at,
        "boot_id": heal_log.boot_id(),
        "owner": {"pid": me.pid, "start_ticks": me.start_ticks},
        "drill": "kafka-broker-loss",
    }


def test_entries_are_listed_oldest_first_and_removed_once(state):
    first, second = plan("kill", TARGET), plan("kill", TARGET)
    assert outstanding() == ([first, second], [])
    assert outstanding("kafka") == ([first, second], [])
    assert outstanding("redis") == ([], [])
    remove(first)
    remove(first)
    assert outstanding() == ([second], [])


def test_an_entry_knows_whose_it_is(state):
    entry = plan("kill", TARGET)
    assert (entry.mine, entry.held, entry.before_boot) == (True, False, False)


def _change(state, entry, **values):
    path = state / "heal" / f"{entry.id}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_entry_of_a_living_process_is_held(state):
    parent = identify(os.getppid())
    _change(state, plan("kill", TARGET), owner={"pid": parent.pid, "start_ticks": parent.start_ticks})
    [entry], _ = outstanding()
    assert (entry.owner, entry.mine, entry.held) == (parent, False, True)


def test_the_entry_of_a_dead_process_is_not_held(state):
    me = identify(os.getpid())
    _change(state, plan("kill", TARGET), owner={"pid": me.pid, "start_ticks": me.start_ticks + 1})
    [entry], _ = outstanding()
    assert (entry.owner, entry.mine, entry.held) == (Identity(me.pid, me.start_ticks + 1), False, False)


def test_an_entry_of_before_a_restart_of_the_machine_is_held_by_nobody(state):
    parent = identify(os.getppid())
    owner = {"pid": parent.pid, "start_ticks": parent.start_ticks}
    _change(state, plan("kill", TARGET), owner=owner, boot_id="another")
    [entry], _ = outstanding()
    assert (entry.held, entry.before_boot) == (False, True)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('{"version": 1, "id": "x"}', "it has no 'target'"),
        ('{"version": 2}', "its version is 2, this program knows 1"),
        ("[]", "list indices must be integers or slices, not str"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"version": 1, "version": 1}', 'the key "version" is there twice'),
    ],
)
def test_a_damaged_file_is_told_and_hides_no_other(state, content, why):
    entry = plan("kill", TARGET)
    path = state / "heal" / "20200101-damaged.json"
    path.write_text(content)
    assert outstanding() == ([entry], [heal_log.Damaged(path, why)])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ('"pid": 3, "start_ticks": 4', ""),
        ('"pid": 1e999, "start_ticks": 4', "it holds a number that is not finite"),
        ('"pid": "3", "start_ticks": 4', "its owner is no process"),
        ('"pid": true, "start_ticks": 4', "its owner is no process"),
    ],
)
def test_an_owner_that_is_no_process_is_damage(state, change, why):
    entry = plan("kill", TARGET)
    path = state / "heal" / f"{entry.id}.json"
    content = json.loads(path.read_text()) | {"owner": "here"}
    path.write_text(json.dumps(content).replace('"here"', f"{{{change}}}"))
    entries, damaged = outstanding()
    assert [each.why for each in damaged] == ([why] if why else [])
    assert len(entries) == (not why)


def test_a_label_that_no_terminal_can_show_is_damage(state):
    entry = plan("kill", TARGET)
    path = state / "heal" / f"{entry.id}.json"
    path.write_text(path.read_text().replace("broker 2", "\\ud800"))
    assert outstanding() == ([], [heal_log.Damaged(path, "it holds text that is not valid (a lone surrogate)")])


def test_an_entry_under_another_name_is_damaged(state):
    entry = plan("kill", TARGET)
    path = state / "heal" / "other.json"
    (state / "heal" / f"{entry.id}.json").rename(path)
    assert outstanding() == (
        [],
        [heal_log.Damaged(path, "its id is not its file's name, or its target has no handle")],
    )


def test_what_a_writer_left_half_done_is_no_entry(state):
    entry = plan("kill", TARGET)
    (state / "heal" / f".{entry.id}.json.17.tmp").write_text('{"versi')
    assert outstanding() == ([entry], [])


def test_a_log_that_cannot_be_written_says_so(state):
    folder = state / "heal"
    folder.mkdir(parents=True)
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(UnavailableError, match="cannot make the folder") as raised:
        plan("kill", TARGET)
    assert "XDG_STATE_HOME" in raised.value.hint
