"""Settings of this machine's user: the objectives, shipped or overridden."""

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from chaosdrills.core.objectives import Objective, parse_objectives
from chaosdrills.core.strict import loads
from chaosdrills.errors import UsageError

OVERRIDE = "CHAOSDRILLS_OBJECTIVES"


def load_objectives() -> dict[str, Objective]:
    """The shipped objectives, with those of the file that `CHAOSDRILLS_OBJECTIVES` names laid over them.

    The file need only say what it changes of a service that is shipped; of another one it says all four values.
    """
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
        objectives.update(parse_objectives(_over(shipped, own), override))
    return objectives


def _over(shipped: Mapping[str, Any], own: Any) -> Any:
    """What the user wrote, filled up with what is shipped; anything but objects is left for the parser to refuse."""
    if not isinstance(own, Mapping):
        return own
    return {
        service: {**shipped.get(service, {}), **entry} if isinstance(entry, Mapping) else entry
        for service, entry in own.items()
    }
