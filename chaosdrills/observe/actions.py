"""Actions that serve every service."""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

import inspect
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chaoslib.exceptions import ActivityFailed, InvalidActivity
from chaoslib.types import Configuration, Secrets

from chaosdrills.core.kinds import in_words, may_be
from chaosdrills.errors import DrillError, UsageError
from chaosdrills.observe.current import required

__all__ = ["require_silence", "wait_recovered"]

logger = logging.getLogger("chaostoolkit")


def wait_recovered(timeout_s: float = 600.0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Wait until the service is restored and stays restored, by the judge's own definition, before anything is healed.

    Where endpoints are polled, also until each is good again. `timeout_s` seconds for all of it: give the RTO. Returns
    `{"recovered": true, "rto_so_far_s": float}`; fails if the service or an endpoint is not restored in time, if no
    fault began, or if the observer is gone.
    """
    timeout_s = float(timeout_s)
    with failing():
        took_s = required("wait_recovered").wait_restored(timeout_s, logger.info)
    if took_s is None:
        raise ActivityFailed(f"the service was not restored within {timeout_s:g} s; it will be healed now.")
    return {"recovered": True, "rto_so_far_s": took_s}


def require_silence(at_least_s: float = 5.0, configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Fail unless some stream has had no acknowledgement for `at_least_s`: where writes must have stopped, did they?

    For drills in which an acknowledgement would be a lie. Returns `{"silent_s": float}`.
    """
    with failing():
        silent_s = float(required("require_silence").figures()["silent_s"])
    if silent_s < float(at_least_s):
        raise ActivityFailed(
            f"writes are still acknowledged: the longest silence of a stream is {silent_s:.1f} s, not {at_least_s:g} s."
        )
    return {"silent_s": silent_s}


@contextmanager
def failing() -> Iterator[None]:
    """Turn an error with its hint into the one that the Chaos Toolkit expects."""
    try:
        yield
    except DrillError as error:
        raise ActivityFailed(str(error)) from error


@contextmanager
def refusing() -> Iterator[None]:
    """As `failing`, and also for an argument of a type that cannot be used."""
    with failing():
        try:
            yield
        except (TypeError, ValueError, OverflowError) as error:
            raise ActivityFailed(f"an argument cannot be used: {error}. Try: correct it in the experiment.") from error


class BadArgument(UsageError, InvalidActivity):  # type: ignore[misc]
    """An argument of an activity that is of a type which that cannot use."""


class _Typed(inspect.Signature):
    """The signature of `activity`, which binds no argument of another type than it says."""

    activity = ""

    def bind(self, *given: Any, **named: Any) -> inspect.BoundArguments:
        """As `inspect.Signature.bind`. Raises `BadArgument`, for `chaos validate`, which looks at names alone."""
        bound = super().bind(*given, **named)
        for name, value in bound.arguments.items():
            kind = self.parameters[name].annotation
            if kind in KINDS and not may_be(value, kind):
                raise BadArgument(
                    f"the argument {name!r} of {self.activity} is of the type {type(value).__name__}.",
                    f"give {in_words(kind)}.",
                )
        return bound


KINDS = (str, int, float, bool, list, dict)


def typed(module: str) -> None:
    """Have the activities that `module` lists refuse arguments of another type when an experiment is validated."""
    found = sys.modules[module]
    for name in found.__all__:
        activity = getattr(found, name)
        signature = inspect.signature(activity)
        parameters = list(signature.parameters.values())
        activity.__signature__ = _Typed(parameters, return_annotation=signature.return_annotation)
        activity.__signature__.activity = name


typed(__name__)
