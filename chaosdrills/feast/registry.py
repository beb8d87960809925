"""What a Feast registry holds of a project: its views, what joins them, and their features. Feast itself reads it.

Only reads (`chaosdrills/data/feast/read_registry.py`): a registry that is not there is an error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.feast.environment import Environment, complaint, data_file
from chaosdrills.feast.rows import KINDS
from chaosdrills.feast.settings import Settings

MISSING = 3


@dataclass(frozen=True)
class FeatureView:
    """A feature view: the types (Feast's, such as "INT64") of its join keys and of its features, by name."""

    join_keys: Mapping[str, str]
    features: Mapping[str, str]
    online: bool

    def why_not(self) -> str:
        """Why a drill cannot write rows of its own to it; empty if it can."""
        if not self.online:
            return "it is not online"
        if list(self.join_keys.values()) != ["STRING"]:
            return "its entity is not one string"
        lacks = [name for name, kind in KINDS.items() if self.features.get(name) != kind.upper()]
        return f"it has no {', '.join(f'{KINDS[name].upper()} {name}' for name in lacks)}" if lacks else ""


def views_of(settings: Settings, environment: Environment) -> dict[str, FeatureView]:
    """The views of the repository's project, by name. Raises `DrillError` if the registry is missing or unread."""
    words = [str(data_file("read_registry.py")), settings.registry, settings.project]
    done = environment.run(words, settings.folder)
    if done.returncode == MISSING:
        raise UsageError(
            f"there is no registry at {settings.registry}.", f"run 'feast apply' in {settings.folder}, or correct it."
        )
    if done.returncode:
        raise UnavailableError(
            f"Feast cannot read the registry {settings.registry}: {complaint(done.stderr)}.",
            "see what it names; 'feast registry-dump' is to work there.",
        )
    found = json.loads(done.stdout.splitlines()[-1])
    if settings.project not in found["projects"]:
        raise UsageError(
            f"the registry {settings.registry} has no project {settings.project!r}, but "
            f"{', '.join(found['projects']) or 'none'}.",
            f"run 'feast apply' in {settings.folder}.",
        )
    return {name: FeatureView(**view) for name, view in sorted(found["views"].items())}
