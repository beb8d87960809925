"""The arguments of the workload."""

from typing import Any

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.timescaledb.arguments import Arguments
from chaosdrills.timescaledb.targeting import Means

DSN = {"dsn": "postgresql://me:hunter2@one,two/x"}


def test_defaults_and_texts_that_are_numbers() -> None:
    found = Arguments.of("3Fa2-b1", {**DSN, "connections": "4", "keep_schema": "true", "answer_timeout_s": "2.5"})
    assert (found.schema, found.connections, found.keep_schema, found.answer_timeout_s) == (
        "chaosdrills_3fa2_b1",
        4,
        True,
        2.5,
    )
    assert "hunter2" not in f"{found!r}{found.facts()}"
    assert not {"one", "two"} & set(str(found.facts()).replace("'", " ").split())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "was given no dsn"),
        ({**DSN, "conections": 2}, "no argument 'conections'"),
        ({**DSN, "connections": 0}, "connections is 0"),
        ({**DSN, "connections": 501}, "501 connections are too many"),
        ({**DSN, "schema": "a; DROP"}, "'a; DROP' is not a schema's name"),
        ({**DSN, "client": "eager"}, "client is 'eager'"),
        ({**DSN, "read_from": "anywhere"}, "read_from is 'anywhere'"),
        ({**DSN, "kind": "log"}, "kind is 'log'"),
        ({**DSN, "kind": "register", "retire_s": 0}, "retire_s is 0"),
        ({**DSN, "kind": "register", "reads_per_s": 5000}, "reads_per_s is 5000"),
        ({**DSN, "payload_bytes": 9_000_000}, "too large"),
        ({**DSN, "answer_timeout_s": 0}, "answer_timeout_s is 0"),
        ({**DSN, "keep_schema": "perhaps"}, "keep_schema is 'perhaps'"),
        ({**DSN, "secrets": "hunter2"}, "secrets is not an object"),
        ({"dsn": "hunter2="}, "cannot be understood"),
    ],
)
def test_what_cannot_be_used_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        Arguments.of("d1", given)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_a_ledger_is_read_from_a_replica_and_registers_from_the_primary() -> None:
    assert Arguments.of("d1", DSN).read_from == "replica"
    found = Arguments.of("d1", {**DSN, "kind": "register"})
    assert (found.read_from, found.facts()["retire_s"], found.facts()["reads_per_s"]) == ("primary", 1.0, 50)
    assert "retire_s" not in Arguments.of("d1", DSN).facts()
    assert Arguments.of("d1", {**DSN, "kind": "register", "read_from": "replica"}).read_from == "replica"


def test_before_a_run_only_what_is_known_is_checked() -> None:
    Arguments.check({"dsn": "${timescaledb_dsn}", "connections": "${connections}", "read_from": "primary"})
    with pytest.raises(UsageError, match="read_from is 'nowhere'"):
        Arguments.check({"dsn": "${timescaledb_dsn}", "read_from": "nowhere"})


def test_a_text_that_says_false_lets_no_degraded_cluster_be_hit() -> None:
    commands = {"target": "command", "inject": ["down"], "heal": ["up"]}
    assert [Means.of({**commands, "degraded_ok": it}).degraded_ok for it in ("false", False, "true")] == [
        False,
        False,
        True,
    ]
