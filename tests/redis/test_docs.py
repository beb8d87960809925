"""docs/redis.md names every activity on Redis, with an example that `chaos validate` accepts."""

import re

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from chaosdrills.redis.client import RIGHTS
from tests.activity_pages import Page

PAGE = Page("redis")


def test_every_activity_that_is_discovered_has_its_heading_and_one_example() -> None:
    PAGE.require_all()


@pytest.mark.parametrize("name", PAGE.examples)
def test_the_example_is_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis+sentinel://drill@db-1,db-2,db-3/orders")
    monkeypatch.setenv("REDIS_PASSWORD", "a word")
    ensure_experiment_is_valid(PAGE.experiment(name))
    PAGE.require_target(name)


def test_every_variable_that_an_experiment_takes_is_told_of() -> None:
    taken, told = PAGE.variables()
    assert told == taken


def test_the_page_grants_what_the_errors_say_that_a_drill_needs() -> None:
    assert re.sub(r"\s+", " ", RIGHTS) in re.sub(r"\s+", " ", PAGE.text)
