"""A list of named things among the observe control's arguments: polls, watches."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from chaosdrills.errors import UsageError

LATER = "${"  # what a value holds that is known only in a run


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def listed(noun: str, most: int, given: Any, written: bool, make: Callable[[Any, int, bool], N]) -> tuple[N, ...]:
    """What `make` makes of each of the argument `noun`, by its number from 1; nothing if it is None.

    `written`: as it stands in the experiment, where ``${...}`` in a value is not known yet and passed over. Raises
    `UsageError` for what is no list of up to `most`, and for a name that stands twice.
    """
    if given is None or (written and isinstance(given, str) and LATER in given):
        return ()
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > most:
        raise UsageError(
            f"the observe control's {noun} are no list, or too long a one.", f"give a list of up to {most} objects."
        )
    made = [make(one, number, written) for number, one in enumerate(given, 1)]
    names = [each.name for each in made]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two {noun} are named {name!r}.", "give each a name of its own.")
    return tuple(made)
