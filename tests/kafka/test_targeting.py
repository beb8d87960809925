"""What a fault on brokers may be given; and what is refused before any broker is asked."""

import sys
import types

import pytest
from chaoslib import convert_vars
from chaoslib.configuration import load_configuration
from chaoslib.exceptions import ActivityFailed
from chaoslib.provider.python import run_python_activity, validate_python_activity

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import lock
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.kafka.actions import kill_broker, pause_broker, restart_brokers, stop_broker
from chaosdrills.kafka.client import Connection
from chaosdrills.kafka.roles import Wish, choose
from chaosdrills.kafka.targeting import Means

NOWHERE = {"kafka_bootstrap_servers": "127.0.0.1:1", "kafka_topic": "t"}
BY = {"target": "command", "inject": ["true"], "heal": ["true"]}


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.parametrize("action", [kill_broker, stop_broker, pause_broker])
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"target": "cloud"}, "there is no target 'cloud'. Try: choose one of lab, command."),
        ({"target": "command"}, "inject is empty, and the target 'command' needs it."),
        ({**BY, "heal": []}, "heal is empty, and the target 'command' needs it."),
        ({**BY, "inject": "kill 7"}, "inject is str, not a list."),
        ({**BY, "check": "true"}, "check is str, not a list."),
        ({**BY, "check": ["x", "{hots}"]}, "check has the placeholder {hots}, which is not known."),
        ({"inject": ["true"]}, "inject is given, but the target is 'lab', which runs no command."),
        ({**BY, "timeout_s": 0}, "timeout_s is 0. Try: give seconds, above 0."),
        ({**BY, "timeout_s": "nan"}, "timeout_s is 'nan'."),
        ({**BY, "timeout_s": "soon"}, "timeout_s is 'soon'."),
        ({**BY, "max_targets": 0}, "max_targets is 0. Try: give a whole number from 1 up."),
        ({**BY, "max_targets": 1.5}, "max_targets is 1.5."),
        ({**BY, "degraded_ok": "maybe"}, "degraded_ok is 'maybe'. Try: give true or false."),
        ({"role": "boss"}, "there is no role 'boss'."),
        ({"role": "id"}, "the role 'id' needs 'broker_id'. Try: give the id of a broker, 0 or above."),
        ({"role": "id", "broker_id": "two"}, "broker_id is 'two'."),
        ({"partition": -1}, "partition is -1. Try: give a whole number from 0 up."),
        ({"partition": True}, "partition is True."),
        ({}, "there is no kafka lab on this machine, and nothing was injected."),
        (BY, "no Kafka broker answers at 127.0.0.1:1"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_one_clear_error(action, given, error):
    with pytest.raises(ActivityFailed) as raised:
        action(**given, configuration=NOWHERE)
    assert error in str(raised.value)
    assert "Try: " in str(raised.value)
    assert (outstanding(), lock.held_by()) == (([], []), "")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"brokers": "1,2"}, "brokers is '1,2'. Try: give a list of ids; none for all."),
        ({"brokers": ["one"]}, "a broker's id is 'one'."),
        ({"in_sync_timeout_s": -1}, "in_sync_timeout_s is -1."),
        ({"target": "command"}, "inject is empty"),
        ({}, "no Kafka broker answers at 127.0.0.1:1"),
    ],
    ids=str,
)
def test_a_restart_that_cannot_be(given, error):
    with pytest.raises(ActivityFailed) as raised:
        restart_brokers(**given, configuration=NOWHERE)
    assert error in str(raised.value)
    assert (outstanding(), lock.held_by()) == (([], []), "")


def test_what_comes_as_texts_from_the_environment_is_taken():
    given = {**BY, "check": "", "timeout_s": "5", "max_targets": "2", "degraded_ok": "true"}
    argvs = {"inject": ["true"], "heal": ["true"]}
    assert Means.of(given) == Means("command", argvs, 5.0, 2, True)
    assert Means.of({"target": "", "inject": "", "heal": "", "check": ""}) == Means()


def test_a_secret_in_a_command_is_refused_and_not_shown():
    with pytest.raises(ActivityFailed) as raised:
        kill_broker(**{**BY, "heal": ["login", "--password=hunter2"]}, configuration=NOWHERE, secrets={"p": "hunter2"})
    assert "heal holds a secret" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_the_active_controller_elsewhere_is_asked_of_the_quorum(monkeypatch):
    connection, asked = Connection("127.0.0.1:1"), []
    quorum = types.ModuleType("chaosdrills.kafka.quorum")
    quorum.active_controller = lambda connection, timeout_s: asked.append(connection) or 2
    monkeypatch.setitem(sys.modules, quorum.__name__, quorum)
    [chosen] = choose(Wish("controller"), None, connection)
    assert (chosen.node_id, chosen.label, asked) == (2, "broker 2 (active controller)", [connection])
    monkeypatch.setitem(sys.modules, quorum.__name__, None)
    with pytest.raises(UnavailableError, match="cannot tell the active controller of a cluster that is not") as raised:
        choose(Wish("controller"), None, connection)
    assert "the role 'id'" in raised.value.hint


def test_an_argv_may_come_whole_from_the_configuration_and_lab_is_what_none_means(monkeypatch):
    """As docs/faults.md says: one experiment for the lab and for a cluster of one's own."""
    described = {
        f"kafka_{name}": {"type": "env", "key": f"KAFKA_{name.upper()}", "default": "", "env_var_type": "json"}
        for name in ("inject", "heal")
    }
    described["kafka_target"] = {"type": "env", "key": "KAFKA_TARGET", "default": "lab"}
    arguments = {name: f"${{kafka_{name}}}" for name in ("target", "inject", "heal")}
    activity = {
        "type": "action",
        "name": "kill",
        "provider": {
            "type": "python",
            "module": "chaosdrills.kafka.actions",
            "func": "kill_broker",
            "arguments": {"role": "id", "broker_id": 2, **arguments},
        },
    }
    validate_python_activity(activity)
    with pytest.raises(ActivityFailed, match="there is no kafka lab on this machine"):
        run_python_activity(activity, load_configuration(described) | NOWHERE, {})
    given = convert_vars(["kafka_target=command", 'kafka_inject:json=["ssh","{host}"]', 'kafka_heal:json=["{hots}"]'])
    with pytest.raises(ActivityFailed, match=r"heal has the placeholder \{hots\}, which is not known"):
        run_python_activity(activity, load_configuration(described, given) | NOWHERE, {})
    monkeypatch.setenv("KAFKA_TARGET", "command")
    monkeypatch.setenv("KAFKA_INJECT", '["true"]')
    monkeypatch.setenv("KAFKA_HEAL", '["true", "{port}"]')
    with pytest.raises(ActivityFailed, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        run_python_activity(activity, load_configuration(described) | NOWHERE, {})
