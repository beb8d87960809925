"""Prints what a registry holds of one project, as JSON: its views, with their join keys and features.

Only reads: a registry that is not there is an error, where Feast's own Registry would write an empty one. Arguments:
the path or URL of the registry, and the project. Exit status 3: there is none.
"""

import json
import sys
from pathlib import Path

from feast.infra.registry.registry import get_registry_store_class_from_scheme
from feast.repo_config import RegistryConfig
from feast.value_type import ValueType

MISSING = 3


def main(where: str, project: str) -> None:
    kind = get_registry_store_class_from_scheme(where)
    try:
        registry = kind(RegistryConfig(path=where), Path.cwd()).get_registry_proto()
    except FileNotFoundError:
        sys.exit(MISSING)
    entities = {it.spec.name: it.spec for it in registry.entities if it.spec.project == project}
    views = {}
    for view in (it.spec for it in registry.feature_views if it.spec.project == project):
        joined = [entities[name] for name in view.entities if name in entities]
        views[view.name] = {
            "join_keys": {entity.join_key: ValueType(entity.value_type).name for entity in joined},
            "features": {feature.name: ValueType(feature.value_type).name for feature in view.features},
            "online": view.online,
        }
    projects = sorted({it.spec.project for it in registry.feature_views} | {it.spec.name for it in registry.projects})
    sys.stdout.write(json.dumps({"project": project, "projects": projects, "views": views}) + "\n")


main(sys.argv[1], sys.argv[2])
