"""The arguments of the features workload, checked before anything is connected."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from chaosdrills.core.values import refuse_unknown
from chaosdrills.errors import UsageError
from chaosdrills.feast.rows import View
from chaosdrills.feast.settings import Settings
from chaosdrills.redis import arguments
from chaosdrills.redis.url import RedisUrl

OWN = ("project", "view", "entity", "repository")
NOT_OURS = ("kind", "old_connections")


@dataclass(frozen=True)
class Features:
    """What `FeaturesWorkload` takes: what follows, and what `chaosdrills.redis.arguments.Arguments` has for registers.

    `project`, `view` and `entity`: where rows are written, as `chaosdrills.feast.rows.View` has it. `repository`: the
    folder of the Feast repository whose online store the Redis is, if it is at hand: it is read before anything is
    written, and gives the project. `of_redis` are the arguments of Redis.
    """

    view: View
    repository: str
    of_redis: Mapping[str, Any]

    @staticmethod
    def of(given: Mapping[str, Any]) -> "Features":
        """Check `given`. Raises `UsageError` that names what is wrong and shows no secret."""
        _refuse_unknown(given)
        own = {name: _text(name, given[name]) for name in OWN if name in given}
        of_redis = {name: value for name, value in given.items() if name not in OWN}
        repository = own.pop("repository", "")
        named = {name: value for name, value in own.items() if value}
        if repository:
            named["project"] = _project(repository, named.get("project", ""), of_redis)
        return Features(View(**named), repository, {**of_redis, "kind": arguments.REGISTER})

    @staticmethod
    def check(given: Mapping[str, Any]) -> None:
        """Check what is known of `given` before a run: values with ``${...}`` in them are not. Raises `UsageError`."""
        _refuse_unknown(given)
        known = {name: value for name, value in given.items() if "${" not in str(value)}
        for name in OWN:
            if name in known:
                _text(name, known[name])
        own = {name: value for name, value in given.items() if name not in OWN}
        arguments.Arguments.check({**own, "kind": arguments.REGISTER})

    def facts(self) -> dict[str, Any]:
        """What of this may be written down."""
        return {"project": self.view.project, "view": self.view.view, "entity": self.view.entity}


def _project(repository: str, named: str, of_redis: Mapping[str, Any]) -> str:
    """The repository's project, if its online store is the Redis of the drill."""
    found = Settings.of(repository)
    if named not in ("", found.project):
        raise UsageError(
            f"the project is {named!r}, and that of the repository {found.folder} is {found.project!r}.",
            "leave the project out, or correct it.",
        )
    ours, its = RedisUrl.of(of_redis.get("url")), RedisUrl.of(found.redis_url)
    if ours.mode == its.mode and not set(ours.hosts) & set(its.hosts):
        raise UsageError(
            f"the online store of the repository {found.folder} is at {its.addresses}, and the drill's Redis at "
            f"{ours.addresses}.",
            f"drill that Redis (REDIS_URL={found.redis_url}), or name another repository.",
        )
    return found.project


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    of_redis = [it.name for it in fields(arguments.Arguments) if it.name not in NOT_OURS]
    refuse_unknown("the features workload", given, [*OWN, *of_redis])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name} is not a text.", "give a text.")
    return value
