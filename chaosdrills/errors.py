"""The error tree: what failed, why, and what to do next.

Every error that a user can cause is a `DrillError` with a `hint` (printed after ``Try:``) and the exit status
that the command line ends with. No message carries a secret; the cause is chained with ``raise ... from``.
"""

USAGE = 64
UNAVAILABLE = 69
INTERNAL = 70
INTERRUPTED = 130


class DrillError(Exception):
    """Base of all errors that are reported without a traceback.

    `message` says what failed and why; `hint` says what to do next.
    """

    exit_status = INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} Try: {self.hint}" if self.hint else self.message


class UsageError(DrillError):
    """An argument, a file or a history that cannot be used as it is (exit status 64)."""

    exit_status = USAGE


class UnavailableError(DrillError):
    """A server, the lab, a driver or a device that is not there or does not answer (exit status 69)."""

    exit_status = UNAVAILABLE


class InternalError(DrillError):
    """A promise of our own code that did not hold (exit status 70)."""
