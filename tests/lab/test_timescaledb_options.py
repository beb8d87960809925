"""What can be chosen of the PostgreSQL lab, and what is refused."""

import os
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.lab import postgresql_programs
from chaosdrills.lab.postgresql_programs import BINDIR, find_programs
from chaosdrills.lab.timescaledb import DEFAULT_ENDPOINT, addresses, is_complaint, normalise


def test_options_become_comparable() -> None:
    assert normalise({}) == {"base_port": None, "settings": {}, "patroni": {}, "network": None}
    asked = {
        "base_port": "26000",
        "settings": {"work_mem": "8MB", "fsync": True},
        "patroni": {"ttl": "30", "synchronous_mode": "false", "loop_wait": 1},
        "network": "plain",
    }
    assert normalise(asked) == {
        "base_port": 26000,
        "settings": {"fsync": "true", "work_mem": "8MB"},
        "patroni": {"loop_wait": 1, "synchronous_mode": False, "ttl": 30},
        "network": "plain",
    }


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"port": 1}, "no option 'port'"),
        ({"base_port": 80}, "80 is not a port"),
        ({"base_port": "many"}, "'many' is not a port"),
        ({"base_port": True}, "True is not a port"),
        ({"base_port": 65500}, "65500 is not a port"),
        ({"settings": "a=b"}, "not an object"),
        ({"settings": {"port": 7}}, "port is the lab's own"),
        ({"settings": {"a b": 7}}, "'a b' is no name"),
        ({"patroni": {"postgresql": {}}}, "Patroni has no setting 'postgresql' that the lab knows"),
        ({"patroni": {"ttl": 19}}, "Patroni's ttl is 19"),
        ({"patroni": {"ttl": 20, "retry_timeout": 10}}, "ttl 20 is below loop_wait 2 and twice retry_timeout 10"),
        ({"patroni": {"synchronous_mode": "maybe"}}, "Patroni's synchronous_mode is 'maybe'"),
        ({"network": "wild"}, "there is no network 'wild'"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        normalise(options)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "telling"),
    [
        ('2026-11-28 11:09:13.428 UTC [7] FATAL:  invalid value for parameter "fsync": "maybe"', True),
        ("2026-11-28 11:09:13,428 ERROR: get_cluster", True),
        ("patroni.exceptions.PatroniFatalException: Failed to bootstrap cluster", True),
        ('{"level":"fatal","ts":"2026","msg":"discovery failed"}', True),
        ("initdb: error: invalid locale name", True),
        ("2026-11-28 11:09:13,428 INFO: no action. I am (node1), the leader with the lock", False),
        ('{"level":"warn","ts":"2026","msg":"simple token is not cryptographically signed"}', False),
    ],
)
def test_lines_that_tell_why_are_picked(line: str, telling: bool) -> None:
    assert is_complaint(line) is telling


def test_the_default_way_to_it_names_both_servers() -> None:
    assert addresses(DEFAULT_ENDPOINT) == {"127.0.0.1:25432", "127.0.0.1:25433"}
    assert addresses("host=127.0.0.1,127.0.0.1 port=25432,25433 user=x") == addresses(DEFAULT_ENDPOINT)
    assert addresses("no connection string") == set()


def test_a_folder_without_postgresql_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BINDIR, str(tmp_path))
    with pytest.raises(UsageError, match=f"{BINDIR} names {tmp_path}, which has no program postgres"):
        find_programs()


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: a user namespace is only for root")
def test_root_without_a_user_namespace_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_programs.shutil, "which", lambda name: "/bin/false")
    assert find_programs_fails()
    monkeypatch.setattr(postgresql_programs.shutil, "which", lambda name: "/nowhere/unshare")
    assert find_programs_fails()


def find_programs_fails() -> bool:
    with pytest.raises(UnavailableError, match="PostgreSQL refuses to run as root, and there is no user namespace"):
        find_programs()
    return True
