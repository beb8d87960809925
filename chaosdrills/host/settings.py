"""Settings of this machine's user: the objectives, shipped or overridden."""

import os
from importlib import resources
from pathlib import Path

from chaosdrills.core.objectives import Objective, parse_objectives
from chaosdrills.core.strict import loads
from chaosdrills.errors import UsageError

OVERRIDE = "CHAOSDRILLS_OBJECTIVES"


def load_objectives() -> dict[str, Objective]:
    """The shipped objectives, with those of the file that `CHAOSDRILLS_OBJECTIVES` names laid over them."""
    shipped = loads(resources.files("chaosdrills.data").joinpath("objectives.json").read_bytes())
    objectives = parse_objectives(shipped, "the shipped objectives.json")
    override = os.environ.get(OVERRIDE)
    if override:
        try:
            own = loads(Path(override).read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{OVERRIDE} names {override}, which cannot be read: {error}.", "correct or unset it."
            ) from error
        objectives.update(parse_objectives(own, override))
    return objectives
