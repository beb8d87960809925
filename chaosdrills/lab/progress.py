"""How the lab says what it is doing: one plain line at a time."""

from collections.abc import Callable

Progress = Callable[[str], None]


def quiet(_: str) -> None:
    """Say nothing."""
