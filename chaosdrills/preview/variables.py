"""Variables of the environment that an experiment takes its configuration from."""

import json
import os
from collections.abc import Mapping
from typing import Any

from chaosdrills.errors import UsageError


def require_json(configuration: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a variable of the environment that is to be JSON and is not: the toolkit names none."""
    for entry in configuration.values():
        if not isinstance(entry, Mapping) or (entry.get("type"), entry.get("env_var_type")) != ("env", "json"):
            continue
        key = str(entry.get("key"))
        try:
            json.loads(os.environ.get(key) or "null")
        except ValueError as error:
            raise UsageError(
                f"the variable {key} is no JSON: {error}.",
                f"""write a command as a list: {key}='["program", "argument", ...]'.""",
            ) from error
