"""One wrapper around all commands: errors become an `Error:` and a `Try:` line, and the exit status of the house.

click's own 2 and Python's own 1 must not read as verdicts, under `chaos drills` neither.
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from chaosdrills.errors import INTERRUPTED, UNAVAILABLE, USAGE, DrillError, InternalError, UnavailableError

STATUS_OF_VERDICT = {"met": 0, "missed": 1, "unknown": 2}


class GuardedGroup(click.Group):
    """A group whose commands, and whose own parsing, end with the house's exit statuses."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the group's own arguments, guarded."""
        with guarded():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Parse and run a command, guarded."""
        with guarded():
            return super().invoke(ctx)


@contextmanager
def ending_as_ctrl_c() -> Iterator[None]:
    """Take SIGTERM and SIGHUP for Ctrl-C in the block, so that what it has broken is healed; one ignored stays so."""
    numbers = [it for it in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(it) != signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn every error into a message on standard error and the right exit status."""
    try:
        yield
    except (click.exceptions.Exit, SystemExit):
        raise
    except click.UsageError as error:
        error.show()
        raise click.exceptions.Exit(USAGE) from error
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo("Interrupted.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from error
    except DrillError as error:
        _show(error)
        raise click.exceptions.Exit(error.exit_status) from error
    except BrokenPipeError as error:
        forget_output()
        raise click.exceptions.Exit(UNAVAILABLE) from error
    except Exception as error:
        found = _unexpected(error)
        _show(found)
        raise click.exceptions.Exit(found.exit_status) from error


def forget_output() -> None:
    """Nobody reads our standard output any more: let what is still to be written go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception) -> DrillError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        forget_output()
        return UnavailableError(f"cannot write: {error.strerror}.", "make room on that disk.")
    return InternalError(
        f"unexpected {type(error).__name__}: {error}.",
        "set CHAOSDRILLS_DEBUG=1 to see where, and report it with the record if there is one.",
    )


def _show(error: DrillError) -> None:
    if os.environ.get("CHAOSDRILLS_DEBUG"):
        traceback.print_exc()
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"Try: {error.hint}", err=True)
