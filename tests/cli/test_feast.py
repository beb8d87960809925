"""`feast`: what is said of a repository, by real Feast."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chaosdrills.cli.main import drills
from chaosdrills.feast.environment import find_environment
from chaosdrills.feast.registry import FeatureView
from chaosdrills.lab import feast_repository

pytestmark = pytest.mark.lab


def run(*arguments: str) -> Result:
    return CliRunner().invoke(drills, ["feast", *arguments])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feast") / "repository"
    settings = feast_repository.settings_of("s:26379,password=geheim", "mine")
    feast_repository.lay_out(find_environment(print), folder, settings, print)
    return folder


def test_what_is_said(repository: Path) -> None:
    done = run(str(repository))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"project chaosdrills, registry {repository}/registry.db",
        "REDIS_URL=redis+sentinel://s:26379/mine",
        "  its password, which is in the connection string, belongs among the secrets or into a passfile",
        "view drill_rows (drill_row STRING): seq INT64, payload STRING, checksum INT64",
        "  takes a drill's rows",
        "view driver_stats (driver_id INT64): rating FLOAT, trips INT64",
        "  takes no rows of a drill: its entity is not one string",
    ]


def test_as_json_and_without_a_secret(repository: Path) -> None:
    done = run(str(repository), "--json")
    found = json.loads(done.stdout)
    assert "geheim" not in done.output
    assert found.pop("views")["drill_rows"] == {
        "join_keys": {"drill_row": "STRING"},
        "features": {"seq": "INT64", "payload": "STRING", "checksum": "INT64"},
        "online": True,
        "takes_rows": True,
    }
    assert found == {
        "project": "chaosdrills",
        "registry": str(repository / "registry.db"),
        "redis_url": "redis+sentinel://s:26379/mine",
        "needs_password": True,
    }


def test_what_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert done.exit_code == 64
    assert "feature_store.yaml cannot be read: No such file or directory." in done.stderr
    assert "Try: name the folder of a Feast repository" in done.stderr


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (FeatureView({"row": "STRING"}, {"seq": "INT64", "payload": "STRING", "checksum": "INT64"}, True), ""),
        (FeatureView({"row": "STRING"}, {"seq": "INT64"}, False), "it is not online"),
        (FeatureView({"row": "INT64"}, {}, True), "its entity is not one string"),
        (FeatureView({"row": "STRING", "city": "STRING"}, {}, True), "its entity is not one string"),
        (FeatureView({"row": "STRING"}, {"seq": "INT32", "payload": "STRING"}, True),
         "it has no INT64 seq, INT64 checksum"),
    ],
)  # fmt: skip
def test_which_views_take_rows(view: FeatureView, why: str) -> None:
    assert view.why_not() == why
