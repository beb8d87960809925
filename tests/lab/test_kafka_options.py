"""What can be chosen of the Kafka lab, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.lab.kafka import build, is_complaint, normalise
from chaosdrills.lab.progress import quiet
from tests.conftest import free_base_port


def test_options_become_comparable() -> None:
    assert normalise({}) == {"base_port": None, "settings": {}, "network": None}
    assert normalise({"base_port": "31092", "settings": {"b": True, "a": 500}, "network": "isolable"}) == {
        "base_port": 31092,
        "settings": {"a": "500", "b": "true"},
        "network": "isolable",
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
        ({"settings": {"node.id": 7}}, "node.id is the lab's own"),
        ({"network": "wireless"}, "no network 'wireless'"),
        ({"network": "proxied", "settings": {"advertised.listeners": "x"}}, "advertised.listeners is the lab's own"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        normalise(options)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "telling"),
    [
        ("10:00:00.000 [main] ERROR kafka.Kafka - Exiting", True),
        ("Caused by: java.net.BindException: Address already in use", True),
        ("org.apache.kafka.common.config.ConfigException: Invalid value", True),
        ("10:00:00.000 [main] INFO kafka.Kafka - started", False),
        ("\tat kafka.Kafka.main(Kafka.scala)", False),
    ],
)
def test_lines_that_tell_why_are_picked(line: str, telling: bool) -> None:
    assert is_complaint(line) is telling


def test_a_folder_that_kafka_cannot_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a,b"))
    with pytest.raises(UnavailableError, match="a,b"):
        build(normalise({"base_port": free_base_port()}), quiet)


def test_no_value_can_bring_a_setting_of_its_own(own_state: Path) -> None:
    cluster = build(normalise({"base_port": free_base_port(), "settings": {"a": "b\nnode.id=7\\"}}), quiet)
    written = Path(cluster.nodes[0].argv[-1]).read_text().splitlines()
    assert written[-1] == "a=b\\nnode.id=7\\\\"
    assert [line for line in written if line.startswith("node.id")] == ["node.id=1"]
