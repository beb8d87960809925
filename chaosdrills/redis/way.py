"""How an experiment says its Redis is reached: `redis_url` of its configuration, and the secrets of the group redis."""

from collections.abc import Mapping
from typing import Any

from chaosdrills.redis.finding import Client
from chaosdrills.redis.url import RedisUrl

APPLICATION = "chaosdrills"


def way_of(configuration: Mapping[str, Any] | None, secrets: Mapping[str, Any] | None) -> Client:
    """The client of an experiment's Redis. `secrets` are flattened. Raises `UsageError` that shows none of them."""
    return Client(RedisUrl.of((configuration or {}).get("redis_url"), secrets), APPLICATION)
