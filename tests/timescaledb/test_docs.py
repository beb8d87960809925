"""docs/timescaledb.md names every PostgreSQL activity, with an example that `chaos validate` accepts."""

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from tests.activity_pages import Page

PAGE = Page("timescaledb")


def test_every_activity_that_is_discovered_has_its_heading_and_one_example() -> None:
    PAGE.require_all()


@pytest.mark.parametrize("name", PAGE.examples)
def test_the_example_is_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMESCALEDB_DSN", "postgresql://drill@db-1,db-2/orders")
    monkeypatch.setenv("TIMESCALEDB_PASSWORD", "a word")
    ensure_experiment_is_valid(PAGE.experiment(name))
    PAGE.require_target(name)


def test_every_variable_that_an_experiment_takes_is_told_of() -> None:
    taken, told = PAGE.variables()
    assert told == taken
