"""The features workload: rows of a Feast view, written and read in its online store as Feast does both.

It is the register workload of `chaosdrills.redis` in another layout (`chaosdrills.feast.rows`): each entity row is a
register, retired after about a second. Feast itself is not needed, and served features are what its users would see.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chaosdrills.feast.arguments import Features
from chaosdrills.feast.rows import Rows
from chaosdrills.feast.source import Acknowledged, RowSource
from chaosdrills.observe.workload import Opened, Page
from chaosdrills.redis.workload import RedisWorkload

SERVED = "features are served to readers"


class FeaturesWorkload(RedisWorkload):
    """`chaosdrills.observe.workload.Workload` for features. Arguments: `chaosdrills.feast.arguments`."""

    def __init__(self, drill_id: str, arguments: Mapping[str, Any]) -> None:
        self._features = Features.of(arguments)
        self._rows = Rows(drill_id, self._features.view)
        self._source: RowSource | None = None
        super().__init__(drill_id, self._features.of_redis)

    @staticmethod
    def check(given: Mapping[str, Any]) -> None:
        """Look at arguments before a run, for `chaos validate`. Raises `UsageError`; connects to nothing."""
        Features.check(given)

    def layout(self) -> Rows:
        """Feast's."""
        return self._rows

    def source(self) -> RowSource:
        """Where rows are read."""
        self._source = RowSource(self._arguments, self._rows, self._client, self._acknowledged)
        return self._source

    def open(self, timeout_s: float) -> Opened:
        """As the register workload does."""
        opened = super().open(timeout_s)
        return Opened(opened.streams, {**opened.facts, **self._features.facts()}, opened.pools)

    def begin(self, page: Page, reader_page: Page) -> None:
        """As the register workload does."""
        self._acknowledged = Acknowledged(page)
        super().begin(self._acknowledged, reader_page)

    def findings(self) -> Mapping[str, Any]:
        """Also `event_age_s_median` and `event_age_s_max`, of event times that readers saw, and `unserved` reads."""
        found = dict(super().findings())
        if self._source is None:
            return found
        return {**found, **self._ages(), "unserved": self._source.unserved}

    def checks(self) -> Sequence[tuple[str, bool, str]]:
        """Also whether features were served to readers at all, and of what age their event times were."""
        seen = list(super().checks())
        if self._source is None:
            return seen
        ages, unserved = self._ages(), self._source.unserved
        told = "no read found one"
        if ages:
            median_s, most_s = ages.values()
            told = f"event times were {median_s:g} s old in the median, {most_s:g} s at most"
        return [*seen, (SERVED, bool(ages), f"{told}; {unserved:,} reads found a row that was not served any more")]

    def _ages(self) -> dict[str, float]:
        ages_s = np.array([] if self._source is None else self._source.ages_s)
        if not len(ages_s):
            return {}
        return {
            "event_age_s_median": round(float(np.median(ages_s)), 3),
            "event_age_s_max": round(float(ages_s.max()), 3),
        }
