"""What the lab's application counts of itself, for Prometheus."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from chaosdrills.lab.application_database import Database

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """Requests by page and status, the database's errors by kind, how long queries took, whether the last one worked,
    and the pool of connections as it is when it is asked."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "staging_requests", "Requests answered.", ["page", "status"], registry=registry
        )  # its sample is staging_requests_total
        self.errors = Counter("staging_database_errors", "Queries that failed.", ["kind"], registry=registry)
        self.query_s = Histogram(
            "staging_query_seconds", "How long queries took, the wait for a connection included.",
            buckets=BUCKETS_S, registry=registry,
        )  # fmt: skip
        self.up = Gauge("staging_database_up", "Whether the last query succeeded.", registry=registry)
        self._connections = Gauge("staging_pool_connections", "Connections of the pool.", ["state"], registry=registry)
        self._waiting = Gauge("staging_pool_waiting", "Requests that wait for a connection.", registry=registry)

    def page(self, database: "Database") -> bytes:
        """All of it, in Prometheus's text format."""
        idle, busy, waiting = database.pool()
        self._connections.labels("idle").set(idle)
        self._connections.labels("busy").set(busy)
        self._waiting.set(waiting)
        return bytes(generate_latest(self._registry))
