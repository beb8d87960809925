"""docs/kafka.md names every Kafka activity, with an example that `chaos validate` accepts."""

import pytest
from chaoslib.exceptions import InvalidActivity
from chaoslib.experiment import ensure_experiment_is_valid

from tests.activity_pages import Page

PAGE = Page("kafka")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page's configuration takes from the environment."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.setenv("KAFKA_PASSWORD", "a word")


def test_every_activity_that_is_discovered_has_its_heading_and_one_example() -> None:
    PAGE.require_all()


@pytest.mark.parametrize("name", PAGE.examples)
def test_the_example_is_valid(name: str) -> None:
    ensure_experiment_is_valid(PAGE.experiment(name))
    PAGE.require_target(name)


def test_what_is_not_valid_is_found() -> None:
    broken = Page("kafka")
    broken.examples["brokers"]["provider"]["arguments"] = {"colour": "red"}
    with pytest.raises(InvalidActivity):
        ensure_experiment_is_valid(broken.experiment("brokers"))
