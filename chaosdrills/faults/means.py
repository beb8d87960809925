"""By what means a target is hit, as an action is told: its arguments `target`, `inject`, `heal` and `check`."""

from collections.abc import Mapping, Sequence
from typing import Any

from chaosdrills.errors import UsageError
from chaosdrills.faults.command import argv_of, filled

TARGETS = ("lab", "command")
STEPS = ("inject", "heal", "check")
SHORTEST_SECRET = 4


def argvs_of(
    given: Mapping[str, Any], target: str, placeholders: Sequence[str], secrets: Mapping[str, Any]
) -> dict[str, list[str]]:
    """The argv lists of those of `STEPS` that were `given`, placeholders and all.

    Raises `UsageError` that names what is wrong, and shows no secret: where `target` runs no command or lacks one, for
    a placeholder that is none of `placeholders`, and for one of `secrets` in a list.
    """
    needed = {"inject", "heal"} if target == "command" else set()
    argvs = {step: argv_of(step, given.get(step), step in needed) for step in STEPS}
    for step, argv in argvs.items():
        if argv and target != "command":
            raise UsageError(
                f"{step} is given, but the target is {target!r}, which runs no command.",
                "give the target 'command', or leave it out.",
            )
        filled(step, argv, dict.fromkeys(placeholders, ""))
        _refuse_secrets(step, argv, secrets)
    return {step: argv for step, argv in argvs.items() if argv}


def _refuse_secrets(name: str, argv: Sequence[str], secrets: Mapping[str, Any]) -> None:
    values = [value for value in secrets.values() if isinstance(value, str) and len(value) >= SHORTEST_SECRET]
    if any(value in word for word in argv for value in values):
        raise UsageError(
            f"{name} holds a secret, which would be in the heal log and in the list of processes.",
            "have the command read it from its environment or from a file.",
        )
