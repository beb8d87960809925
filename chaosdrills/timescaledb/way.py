"""How an experiment says its PostgreSQL cluster is reached: the DSN, and Patroni's REST where there is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaosdrills.errors import UsageError
from chaosdrills.timescaledb.dsn import Dsn
from chaosdrills.timescaledb.finding import Client
from chaosdrills.timescaledb.patroni import Patroni, patroni_of

APPLICATION = "chaosdrills"
PATRONI = "patroni_"


@dataclass(frozen=True)
class Way:
    """A cluster: its servers by SQL, and Patroni (None where it is not known)."""

    client: Client
    patroni: Patroni | None = None

    @property
    def addresses(self) -> str:
        """``host:port`` of every server."""
        return self.client.dsn.addresses

    @property
    def its_patroni(self) -> Patroni:
        """Patroni. Raises `UsageError` if the experiment does not say where it is."""
        if self.patroni is None:
            raise UsageError(
                "this needs Patroni's REST, and the configuration has no timescaledb_patroni.",
                "give it as 'http://host:8008,http://host:8008'.",
            )
        return self.patroni


def way_of(configuration: Mapping[str, Any] | None, secrets: Mapping[str, Any] | None) -> Way:
    """The way to an experiment's cluster.

    `configuration`: `timescaledb_dsn`, and what `chaosdrills.timescaledb.patroni.patroni_of` takes. `secrets`,
    flattened: those of Patroni begin with ``patroni_``, the others are libpq's parameters and go over the DSN's. Raises
    `UsageError` that shows no value of them.
    """
    given, kept = configuration or {}, secrets or {}
    dsn = Dsn.of(given.get("timescaledb_dsn"), of_libpq(kept))
    return Way(Client(dsn, APPLICATION), patroni_of(given, kept))


def of_libpq(secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Those secrets that are parameters of a connection."""
    return {name: value for name, value in secrets.items() if not name.startswith(PATRONI)}
