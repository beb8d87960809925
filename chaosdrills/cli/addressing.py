"""The option that says which running drill a command talks to; shared by `note`, `go` and `abort`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def drill_option(command: Command) -> Command:
    """Add the option --drill."""
    return click.option(
        "--drill",
        "wanted",
        default="",
        metavar="ID",
        help="Which drill, by its id or its process, where several run (see status).",
    )(command)
