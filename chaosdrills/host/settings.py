"""Settings of this machine's user: the objectives, shipped or overridden."""

import json
import os
from importlib import resources
from pathlib import Path

from chaosdrills.core.objectives import Objective, parse_objectives
from chaosdrills.errors import UsageError

OVERRIDE = "CHAOSDRILLS_OBJECTIVES"


def load_objectives() -> dict[str, Objective]:
    """The shipped objectives, with those of the file that `CHAOSDRILLS_OBJECTIVES` names laid over them."""
    shipped = json.loads(resources.files("chaosdrills.data").joinpath("objectives.json").read_text())
    objectives = parse_objectives(shipped, "the shipped objectives.json")
    override = os.environ.get(OVERRIDE)
    if override:
        try:
            own = json.loads(Path(override).read_text())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{OVERRIDE} names {override}, which cannot be read: {error}.", "correct or unset it."
            ) from error
        objectives.update(parse_objectives(own, override))
    return objectives
