"""docs/redis.md names every activity on Redis, with an example that `chaos validate` accepts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from chaosdrills import discover
from chaosdrills.redis.client import RIGHTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "redis.md").read_text()
BLOCKS = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.S | re.M)]
EXAMPLES = {block["provider"]["func"]: block for block in BLOCKS if "provider" in block}
LISTED = {each["name"]: each for each in discover()["activities"] if ".redis." in each["mod"]}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page's configuration takes from the environment."""
    monkeypatch.setenv("REDIS_URL", "redis+sentinel://drill@db-1,db-2,db-3/orders")
    monkeypatch.setenv("REDIS_PASSWORD", "a word")


def experiment(example: dict[str, Any]) -> dict[str, Any]:
    """A whole experiment around an example, and the configuration that the page shows."""
    (configured,) = [block for block in BLOCKS if "configuration" in block]
    probes, method = ([example], []) if example["type"] == "probe" else ([], [example])
    return {
        "title": "An example",
        "description": "From the page.",
        **configured,
        "steady-state-hypothesis": {"title": "All is well", "probes": probes},
        "method": method,
    }


def test_every_activity_that_is_discovered_has_its_heading_and_one_example() -> None:
    assert {name: it["type"] for name, it in EXAMPLES.items()} == {name: it["type"] for name, it in LISTED.items()}
    assert sorted(re.findall(r"^### `(\w+)`$", PAGE, re.M)) == sorted(LISTED)
    assert len([block for block in BLOCKS if "provider" in block]) == len(LISTED)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_valid(name: str) -> None:
    ensure_experiment_is_valid(experiment(EXAMPLES[name]))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_tolerance_looks_at_what_the_activity_answers(name: str) -> None:
    """Its target is a key of the answer that the activity's own help shows."""
    example = EXAMPLES[name]
    if example["type"] == "probe":
        assert f'"{example["tolerance"]["target"]}":' in re.sub(r"\s+", " ", LISTED[name]["doc"])


def test_every_variable_that_an_experiment_takes_is_told_of() -> None:
    texts = [path.read_text() for path in (ROOT / "experiments").glob("redis-*.json")]
    taken = {name for text in texts for name in re.findall(r'"(REDIS_\w+)"', text)}
    rows = "".join(line for line in PAGE.splitlines() if line.startswith("| `REDIS"))
    assert set(re.findall(r"`(REDIS_\w+)`", rows)) == taken


def test_the_page_grants_what_the_errors_say_that_a_drill_needs() -> None:
    assert re.sub(r"\s+", " ", RIGHTS) in re.sub(r"\s+", " ", PAGE)
