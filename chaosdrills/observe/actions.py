"""Actions that serve every service."""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from chaoslib.exceptions import ActivityFailed
from chaoslib.types import Configuration, Secrets

from chaosdrills.errors import DrillError
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
