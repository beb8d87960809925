"""The fault `command`: on a toy cluster's servers, and on files where only the commands matter."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults import command, lock, marking
from chaosdrills.faults.command import Command, argv_of, command_target, filled, said
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.host.processes import identify, wait_until
from tests.faults import toy
from tests.faults.commands import argvs
from tests.faults.conformance import FaultConformance
from tests.faults.injector import CODE


@pytest.fixture
def fault():
    return Command()


class TestCommand(FaultConformance):
    hit_again = r"its inject ended with exit status 3; its heal is still to be done\. It said: node 2 does not run\."

    @pytest.fixture
    def target(self, cluster):
        return command_target(toy.SERVICE, "server 2", "id", "kill", argvs(toy.SERVICE, "kill", "2"), 60, 2)

    @pytest.fixture
    def served(self, cluster):
        return lambda: toy.answers(cluster.node(2).endpoint)


@pytest.fixture
def lamp(tmp_path):
    """What is hit: a file that is there while all is well."""
    path = tmp_path / "lamp"
    path.touch()
    return path


def on(lamp, timeout_s=30.0, **other):
    """The target whose commands take the file away and put it back; `other` ones in place of those."""
    made = {"inject": ["rm", str(lamp)], "heal": ["touch", str(lamp)], "check": ["test", "-e", str(lamp)], **other}
    return command_target("toy", "the lamp", "id", "kill", made, timeout_s)


def results():
    return [outcome.result for outcome in heal_outstanding().outcomes]


def test_what_it_says_of_itself(fault, lamp):
    assert fault.describe(on(lamp)) == "kill by command of the lamp"


def test_without_a_check_a_heal_is_needed_until_it_was_done(fault, lamp, marks):
    target = on(lamp, check=[])
    assert fault.needs_heal(target)
    inject(fault, [target])
    assert not lamp.exists()
    assert fault.needs_heal(target)
    assert results() == ["healed"]
    assert lamp.exists()
    assert results() == []
    assert [name for name, _ in marks] == ["fault_begin", "fault_end", "heal_begin", "heal_end"]


def test_an_inject_that_fails_has_no_end_and_is_healed_all_the_same(fault, lamp, marks):
    script = f"rm {lamp}; echo first; echo 'half done' >&2; exit 7"
    with pytest.raises(UnavailableError) as raised:
        inject(fault, [on(lamp, inject=["sh", "-c", script])])
    assert raised.value.message == (
        "kill by command of the lamp: its inject ended with exit status 7; its heal is still to be done. "
        "It said: first / half done."
    )
    assert [name for name, _ in marks] == ["fault_begin"]
    assert [entry.fault for entry in outstanding()[0]] == ["command"]
    assert results() == ["healed"]
    assert lamp.exists()


def test_an_inject_that_hangs_is_ended_with_all_that_it_started(fault, lamp, tmp_path):
    script = f"sleep 300 & echo $! > {tmp_path}/child; echo waiting; wait"
    with pytest.raises(UnavailableError, match=r"its inject was ended after 1 s; .* It said: waiting\."):
        inject(fault, [on(lamp, 1.0, inject=["sh", "-c", script])])
    child = int((tmp_path / "child").read_text())
    assert wait_until(lambda: identify(child) is None, 20)


def test_an_inject_that_is_interrupted_is_ended_and_healed_later(fault, lamp, tmp_path):
    pid = tmp_path / "pid"
    script = f"rm {lamp}; echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 300"

    def ctrl_c():
        assert wait_until(pid.exists, 30)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=ctrl_c)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        inject(fault, [on(lamp, 60.0, inject=["sh", "-c", script])])
    thread.join()
    assert wait_until(lambda: identify(int(pid.read_text())) is None, 20)
    assert len(outstanding()[0]) == 1
    assert results() == ["healed"]
    assert lamp.exists()


def test_while_inject_may_still_be_at_work_no_check_says_that_all_is_well(fault, lamp):
    """Its injector is killed before the command has bitten: the target looks healthy, and will not stay so."""
    target = on(lamp, heal=["sh", "-c", f"echo healed >> {lamp}"], inject=["false"])
    with pytest.raises(UnavailableError, match="its inject ended with exit status 1"):
        inject(fault, [target])
    assert lamp.exists(), "what the check looks at"
    assert fault.needs_heal(target)
    assert results() == ["healed"]
    assert lamp.read_text() == "healed\n"
    assert not fault.needs_heal(target)


def test_what_a_killed_drill_left_at_work_is_ended_before_its_heal(fault, lamp, tmp_path):
    """It would hit what is healed already."""
    pid = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {pid}.new; mv {pid}.new {pid}; wait; rm {lamp}"
    target = on(lamp, 300.0, inject=["sh", "-c", script])
    argv = [sys.executable, "-c", CODE, json.dumps(["command", asdict(target)])]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as injector:
        noted = command._begun(target)
        assert wait_until(lambda: pid.exists() and noted.exists() and noted.stat().st_size > 0, 30)
        injector.kill()
    assert identify(int(pid.read_text())) is not None
    assert results() == ["healed"]
    assert wait_until(lambda: identify(int(pid.read_text())) is None, 20)
    assert lamp.exists()


def test_two_who_heal_at_once_heal_once(fault, lamp, tmp_path):
    heal = f"echo healed >> {tmp_path}/done; sleep 0.5; touch {lamp}"
    inject(fault, [on(lamp, heal=["sh", "-c", heal], check=[])])
    lock.release()
    found = []
    threads = [threading.Thread(target=lambda: found.append(results())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[], ["healed"]]
    assert (tmp_path / "done").read_text() == "healed\n"


def test_what_it_says_cannot_fill_the_disk(fault, lamp, monkeypatch):
    monkeypatch.setattr("chaosdrills.host.commands.MOST_BYTES", 10_000)
    script = f"for turn in 1 2 3 4; do head -c 9000 /dev/zero | tr '\\0' x; sleep 0.4; done; echo; rm {lamp}; echo gone"
    target = on(lamp, inject=["sh", "-c", script])
    inject(fault, [target])
    assert said(target, "inject").endswith("gone")
    assert command._log(target, "inject").stat().st_size < 30_000


def test_a_heal_is_done_though_its_output_cannot_be_kept(fault, lamp, state, monkeypatch):
    inject(fault, [on(lamp)])
    monkeypatch.setattr(command, "_append", full_disk)
    assert results() == ["healed"]
    assert lamp.exists()
    with pytest.raises(UnavailableError, match=r"cannot keep the output of inject in .*: No space left on device"):
        fault.inject(on(lamp))
    assert lamp.exists(), "nothing was injected"


def full_disk(log, line):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(log))


def test_a_heal_that_fails_keeps_its_entry_until_one_succeeds(fault, lamp, tmp_path, marks):
    mended = tmp_path / "mended"
    heal = ["sh", "-c", f"test -e {mended} || {{ echo 'no route to host'; exit 255; }}; touch {lamp}"]
    inject(fault, [on(lamp, heal=heal)])
    del marks[:]
    [outcome] = heal_outstanding().outcomes
    assert outcome.result == "failed"
    assert outcome.why == "its heal ended with exit status 255; it is not healed. It said: no route to host."
    assert [name for name, _ in marks] == ["heal_begin"]
    mended.touch()
    assert results() == ["healed"]
    assert lamp.exists()
    assert outstanding() == ([], [])


def test_a_heal_after_which_the_check_still_fails_is_none(fault, lamp):
    target = on(lamp, heal=["true"])
    inject(fault, [target])
    with pytest.raises(UnavailableError, match=r"the lamp is not healthy 0\.5 s after its heal, says its check"):
        fault.wait_healed(target, 0.5)
    assert fault.needs_heal(target)


def test_a_check_that_hangs_or_cannot_be_run_is_no_health(fault, lamp):
    assert fault.needs_heal(on(lamp, 0.5, check=["sleep", "300"]))
    assert fault.needs_heal(on(lamp, check=["/nonexistent/check"]))


def test_an_inject_after_which_the_check_sees_nothing_hit_nothing(fault, lamp, marks):
    with pytest.raises(UnavailableError, match=r"its check finds it healthy 1 s later: nothing was hit\."):
        inject(fault, [on(lamp, 1.0, inject=["true"])])
    assert [name for name, _ in marks] == ["fault_begin"]


def test_an_inject_after_which_the_check_cannot_be_run_proves_nothing(fault, lamp, tmp_path, marks):
    check = tmp_path / "check"
    check.write_text(f"#!/bin/sh\ntest -e {lamp}\n")
    check.chmod(0o700)
    with pytest.raises(UnavailableError, match=r"cannot start .*check: No such file or directory"):
        inject(fault, [on(lamp, inject=["rm", str(check)], check=[str(check)])])
    assert [name for name, _ in marks] == ["fault_begin"]
    assert len(outstanding()[0]) == 1


def test_what_is_not_healthy_before_is_not_hit(fault, lamp, marks):
    lamp.unlink()
    with pytest.raises(UnavailableError, match="the lamp is not healthy before it is hit, says its check") as raised:
        inject(fault, [on(lamp, check=["sh", "-c", f"test -e {lamp} || {{ echo it is dark; exit 1; }}"])])
    assert "(it is dark): nothing was hit" in raised.value.message
    assert (marks, outstanding()) == ([], ([], []))


@pytest.mark.parametrize("step", ["inject", "heal", "check"])
def test_a_program_that_is_not_there_is_told_before_anything_is_hit(fault, lamp, marks, step):
    with pytest.raises(UnavailableError, match=f"the program of {step}, no-such-program, is not there: nothing was"):
        inject(fault, [on(lamp, **{step: ["no-such-program", "now"]})])
    assert (lamp.exists(), marks, outstanding()) == (True, [], ([], []))


def test_a_restart_of_this_machine_undoes_no_command(fault, lamp, state):
    inject(fault, [on(lamp)])
    [entry] = outstanding()[0]
    path = state / "heal" / f"{entry.id}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"boot_id": "another"}))
    assert results() == ["healed"]
    assert lamp.exists()


def test_it_is_run_where_it_was_given_from_wherever_it_is_healed(fault, lamp, tmp_path, monkeypatch):
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "heal").write_text(f"#!/bin/sh\npwd\ntouch {lamp}\n")
    (folder / "heal").chmod(0o700)
    monkeypatch.chdir(folder)
    target = on(lamp, heal=["./heal"])
    inject(fault, [target])
    monkeypatch.chdir("/")
    assert results() == ["healed"]
    assert said(target, "heal") == str(folder)


def test_its_output_is_kept_in_the_drills_folder_and_nothing_of_the_environment(fault, lamp, tmp_path, monkeypatch):
    monkeypatch.setenv("DRILL_PASSWORD", "hunter2-secret")
    folder = tmp_path / "journals" / "a-run"
    folder.mkdir(parents=True)
    marking.set_marker(None, str(folder))
    inject(fault, [on(lamp, inject=["sh", "-c", f"rm {lamp}; echo gone"])])
    assert results() == ["healed"]
    kept = {path.name.rpartition("-")[2]: path.read_text() for path in (folder / "commands").iterdir()}
    assert set(kept) == {"inject.log", "heal.log", "check.log"}
    assert [line.partition(" ")[0] for line in kept["inject.log"].splitlines()] == ["==>", "gone", "<=="]
    assert f"sh -c 'rm {lamp}; echo gone'" in kept["inject.log"]
    assert "<== exit status 0, " in kept["inject.log"]
    assert {path.stat().st_mode & 0o777 for path in (folder / "commands").iterdir()} == {0o600}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if "hunter2" in path.read_text()] == []


def test_its_output_is_kept_where_the_drills_folder_is_gone(fault, lamp, tmp_path, state):
    folder = tmp_path / "journals"
    folder.mkdir()
    marking.set_marker(None, str(folder))
    inject(fault, [on(lamp)])
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    assert results() == ["healed"]
    assert [path.name.rpartition("-")[2] for path in (state / "commands").iterdir()].count("heal.log") == 1


def test_only_the_last_lines_are_told(fault, lamp):
    target = on(
        lamp, inject=["sh", "-c", f"rm {lamp}; seq 1 100; printf 'a\\tb\\033[1mc\\377'; printf 'x%.0s' $(seq 999)"]
    )
    inject(fault, [target])
    last = said(target, "inject")
    assert last.startswith("97 / 98 / 99 / 100 / a b [1mc")
    assert len(last) < 300


@pytest.mark.parametrize(
    "change",
    [
        {"heal": "touch lamp"},
        {"heal": []},
        {"heal": [1]},
        {"check": "true"},
        {"timeout_s": "soon"},
        {"timeout_s": -1},
        {"cwd": None},
        {"id": "../../x"},
        {"deed": None, "heal": None},
    ],
    ids=str,
)
def test_a_handle_that_cannot_be_used_is_damage(fault, lamp, state, change):
    inject(fault, [on(lamp)])
    [entry] = outstanding()[0]
    path = state / "heal" / f"{entry.id}.json"
    data = json.loads(path.read_text())
    data["target"]["handle"] |= change
    path.write_text(json.dumps(data))
    [outcome] = heal_outstanding().outcomes
    assert outcome.result == "failed"
    assert outcome.why.startswith("it is damaged: its target's handle is not one of 'command' (")
    path.unlink()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("ssh broker-1 stop", "inject is str, not a list."),
        ({"path": "ssh"}, "inject is dict, not a list."),
        (7, "inject is int, not a list."),
        ([], "inject is empty, and the target 'command' needs it."),
        ("", "inject is empty, and the target 'command' needs it."),
        (None, "inject is empty, and the target 'command' needs it."),
        (["", "x"], "inject begins with an empty text."),
        (["ssh", ["x"]], "inject holds list, which is no argument."),
        (["ssh", True], "inject holds bool, which is no argument."),
        (["ssh", "a\0b"], "inject holds str, which is no argument."),
    ],
)
def test_an_argv_that_is_none(given, error):
    with pytest.raises(UsageError) as raised:
        argv_of("inject", given)
    assert raised.value.message == error
    assert raised.value.hint


def test_an_argv_may_hold_numbers_and_be_left_out():
    assert argv_of("inject", ["ssh", "-p", 22]) == ["ssh", "-p", "22"]
    assert argv_of("check", "", required=False) == []


VALUES = {"broker": "2", "host": "kafka-2.example", "port": "9092"}


@pytest.mark.parametrize(
    ("word", "made"),
    [
        ("kafka@{broker}", "kafka@2"),
        ("{host}:{port}", "kafka-2.example:9092"),
        ("{{broker}}", "{broker}"),
        ('{{.State}} {print $1} {} {"a": 1}', '{{.State}} {print $1} {} {"a": 1}'),
        ("kill ${PID} $HOME", "kill ${PID} $HOME"),
    ],
)
def test_placeholders(word, made):
    assert filled("inject", ["x", word], VALUES) == ["x", made]


def test_a_placeholder_that_is_not_known():
    with pytest.raises(UsageError) as raised:
        filled("heal", ["ssh", "{hots}"], VALUES)
    assert raised.value.message == "heal has the placeholder {hots}, which is not known."
    assert raised.value.hint == "use {broker}, {host}, {port}; write {{hots}} for the text itself."
    with pytest.raises(UsageError, match=r"heal has \$\{host\}\.") as raised:
        filled("heal", ["ssh", "${host}"], VALUES)
    assert raised.value.hint.startswith("write {host}:")


def test_a_command_has_no_input_and_a_session_of_its_own(fault, lamp):
    code = f"import os, sys; os.unlink({str(lamp)!r}); print(sys.stdin.read() == '', os.getsid(0) == os.getpid())"
    target = on(lamp, inject=[sys.executable, "-c", code])
    inject(fault, [target])
    assert said(target, "inject") == "True True"
