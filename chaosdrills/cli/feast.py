"""`feast`: what a Feast repository is to a drill: its online store, its views, and which of them take rows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from chaosdrills.feast.registry import FeatureView


@click.command()
@click.argument("repository", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def feast(repository: Path, as_json: bool) -> None:
    """Look at the Feast repository in the folder REPOSITORY before it is drilled; nothing is written.

    Says where its online store is, as REDIS_URL, and which views take a drill's rows. A variable that is not set, a
    registry that is missing, and a store that is no Redis are errors. The registry is read by Feast itself, in an
    environment of its own ('chaos drills lab prepare feast', or CHAOSDRILLS_FEAST_PYTHON).

    \b
    Example: chaos drills feast feature_repo
    """
    from chaosdrills.feast.environment import find_environment
    from chaosdrills.feast.registry import views_of
    from chaosdrills.feast.settings import Settings

    settings = Settings.of(repository)
    views = views_of(settings, find_environment(lambda line: click.echo(line, err=True)))
    if as_json:
        found = {
            "project": settings.project,
            "registry": settings.registry,
            "redis_url": settings.redis_url,
            "needs_password": "password" in settings.secrets,
            "views": {name: _described(view) for name, view in views.items()},
        }
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"project {settings.project}, registry {settings.registry}")
    click.echo(f"REDIS_URL={settings.redis_url}")
    if "password" in settings.secrets:
        click.echo("  its password, which is in the connection string, belongs among the secrets or into a passfile")
    for name, view in views.items():
        click.echo(f"view {name} ({_typed(view.join_keys)}): {_typed(view.features)}")
        click.echo(f"  {_verdict(view)}")


def _described(view: "FeatureView") -> dict[str, Any]:
    return {
        "join_keys": dict(view.join_keys),
        "features": dict(view.features),
        "online": view.online,
        "takes_rows": not view.why_not(),
    }


def _typed(named: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in named.items())


def _verdict(view: "FeatureView") -> str:
    why = view.why_not()
    return f"takes no rows of a drill: {why}" if why else "takes a drill's rows"
