"""Counts that others keep, and how one is looked at: on a Prometheus page, or by a class that its import path names.

A source looks from one thread, one look at a time. What it says names no URL, no host and no key.
"""

import asyncio
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chaosdrills.core.history import MOST_COUNT, Outcome
from chaosdrills.errors import UsageError
from chaosdrills.observe.endpoints import Endpoint
from chaosdrills.observe.exposition import Selector
from chaosdrills.observe.http import Answer
from chaosdrills.observe.poller import Client, secure_for


class NotSeen(Exception):
    """A look that saw no count. `outcome`: FAILED if there was an answer, UNKNOWN if there was none."""

    def __init__(self, why: str, outcome: Outcome = Outcome.FAILED) -> None:
        super().__init__(why)
        self.outcome = outcome


@dataclass(frozen=True)
class Seen:
    """A count, and of what was counted since the look before as much as the source knows: (instant, count as of then).

    Instants are nanoseconds of CLOCK_BOOTTIME. A count that begins anew is told by one that is lower.
    """

    count: int
    since: tuple[tuple[int, int], ...] = ()


class Source(Protocol):
    """One count. Made as ``Class(arguments)``, which raises `DrillError` for what cannot be used, and connects nowhere.

    A class may have ``check(arguments)``, which looks at them before a run, where values with ``${...}`` are not known.
    """

    def look(self, timeout_s: float) -> Seen:
        """The count now. Raises `NotSeen`, within `timeout_s`."""

    def close(self) -> None:
        """Disconnect. Bounded, idempotent."""


class Page:
    """The sum of samples on a Prometheus page."""

    def __init__(self, endpoint: Endpoint, metric: Selector) -> None:
        self._client = Client(endpoint, secure_for([endpoint]))
        self._metric = metric
        self._runner = asyncio.Runner()

    def look(self, timeout_s: float) -> Seen:
        """As `Source`; `timeout_s` is the endpoint's own."""
        heard = self._runner.run(self._client.ask())
        if not isinstance(heard, Answer):
            outcome, why = heard
            raise NotSeen(why, outcome)
        if not 200 <= heard.status < 300:
            raise NotSeen(f"status {heard.status}")
        return Seen(self._sum(heard.body))

    def close(self) -> None:
        """As `Source`."""
        self._client.close()
        self._runner.close()

    def _sum(self, body: bytes) -> int:
        name = self._metric.name
        try:
            values = self._metric.values(body.decode())
        except ValueError as error:
            raise NotSeen(f"a malformed sample of {name}") from error
        if not values:
            raise NotSeen(f"no sample of {name}")
        if not all(0 <= value < MOST_COUNT and value == int(value) for value in values):
            raise NotSeen(f"{name} is no count")
        return whole(sum(map(int, values)), name)


def whole(count: int, name: str) -> int:
    """`count`, if a record can hold it. Raises `NotSeen`."""
    if count >= MOST_COUNT:
        raise NotSeen(f"{name} is no count")
    return count


def load_source(path: str, arguments: Mapping[str, Any]) -> Source:
    """Make the source named by the import path ``module:Class``. Raises `DrillError`."""
    source: Source = _imported(path)(arguments)
    return source


def check_source(path: str, arguments: Mapping[str, Any]) -> None:
    """Import a source, whose driver may be missing, and have it look at its arguments if it can."""
    check = getattr(_imported(path), "check", None)
    if check is not None:
        check(arguments)


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"there is no source {path!r}: {error}.", "name a class as 'module:Class'.") from error
