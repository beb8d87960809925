"""docs/feast.md says what the experiments take, what the workload takes, and the view that the lab's repository has."""

import re
from pathlib import Path

from chaosdrills.feast.arguments import OWN
from chaosdrills.feast.environment import VERSION, data_file

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "feast.md").read_text()


def test_every_variable_that_an_experiment_takes_is_told_of() -> None:
    taken = {
        name
        for path in (ROOT / "experiments").glob("feast-*.json")
        for name in re.findall(r'"(FEAST_\w+)"', path.read_text())
    }
    assert set(re.findall(r"^\| `(FEAST_\w+)` \|", PAGE, re.M)) == taken


def test_every_argument_of_its_own_is_told_of() -> None:
    assert set(re.findall(r"^\| `([a-z]+)` \| ", PAGE, re.M)) == set(OWN)


def test_the_view_is_the_labs_own() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
    assert shown in data_file("repository/features.py").read_text()


def test_the_version_is_the_one_that_is_made() -> None:
    assert f"`feast[redis]=={VERSION}`" in PAGE
