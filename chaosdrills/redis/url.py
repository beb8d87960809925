"""The way to a Redis as one text: which servers or sentinels it names, who we are to them, and by TLS or not.

::

    redis+sentinel://[user[:password]@]host:port,host:port,host:port/name[?db=0]    through Sentinel, the master `name`
    redis://[user[:password]@]host:port[/db]                                        one server
    redis://host:port,host:port,host:port[/db]                                      several: the one that leads is found

``rediss`` instead of ``redis`` is by TLS. Query: `db`; `passfile`, a file whose first line is the password;
`sentinel_user` and `sentinel_passfile`, where sentinels ask for one of their own; `ssl_ca_certs`, `ssl_certfile`,
`ssl_keyfile`, files; `ssl_check_hostname` (true, the default, or false).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from chaosdrills.core.values import refuse_unknown, truth
from chaosdrills.errors import UsageError

SENTINEL, SINGLE, LIST = MODES = ("sentinel", "single", "list")
PORTS = {SENTINEL: 26379, SINGLE: 6379, LIST: 6379}
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
QUERY = ("db", "passfile", "sentinel_user", "sentinel_passfile", *FILES, "ssl_check_hostname")
SECRETS = ("username", "password", "sentinel_username", "sentinel_password")
HINT = "give it as 'redis+sentinel://host:26379,host:26379,host:26379/name' or 'redis://host:6379' (REDIS_URL)."
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@/\s]+)(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Login:
    """Who we are to a server, and how it is connected to: what a connection takes besides its address."""

    username: str = ""
    password: str = field(default="", repr=False)
    db: int = 0
    tls: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class RedisUrl:
    """A way taken apart. `hosts` are ``host:port`` of sentinels or of servers; `name` is the master's, by Sentinel."""

    mode: str
    hosts: tuple[str, ...]
    name: str = ""
    db: int = 0
    tls: Mapping[str, Any] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(text: object, secrets: Mapping[str, Any] | None = None) -> "RedisUrl":
        """The way in `text`, with `secrets` (of `SECRETS`) over what it says. Raises `UsageError`; shows no secret."""
        if not isinstance(text, str) or not text.strip():
            raise UsageError("there is no URL of a Redis.", HINT)
        scheme, separator, rest = text.strip().partition("://")
        kind = scheme.lower().removeprefix("rediss").removeprefix("redis")
        if not separator or not scheme.lower().startswith("redis") or kind not in ("", "+sentinel"):
            raise _refused(scheme if separator else "")
        rest, _, query = rest.partition("?")
        authority, _, path = rest.partition("/")
        userinfo, _, hosts = authority.rpartition("@")
        given = _query(query)
        mode = SENTINEL if kind else LIST if "," in hosts else SINGLE
        name, db = (unquote(path), given.get("db", "")) if mode == SENTINEL else ("", path or given.get("db", ""))
        if mode == SENTINEL and not name:
            raise UsageError("the Redis URL names no master for Sentinel.", HINT)
        tls = _tls(given) if scheme.lower().startswith("rediss") else _no_tls(given)
        return RedisUrl(
            mode, tuple(_host(each, PORTS[mode]) for each in hosts.split(",")), name, _db(db), tls,
            _secrets(userinfo, given, secrets or {}),
        )  # fmt: skip

    @property
    def addresses(self) -> str:
        """``host:port`` of all that it names, joined by commas: what tells one Redis from another."""
        return ",".join(self.hosts)

    def login(self) -> Login:
        """Who we are to servers. Raises `UsageError` if a file that it names cannot be read."""
        self._require_files()
        return Login(self.secrets.get("username", ""), self._password(""), self.db, self.tls)

    def sentinel_login(self) -> Login:
        """Who we are to sentinels."""
        self._require_files()
        return Login(self.secrets.get("sentinel_username", ""), self._password("sentinel_"), 0, self.tls)

    def _require_files(self) -> None:
        for name in FILES:
            path = (self.tls or {}).get(name)
            if path and not os.access(path, os.R_OK):
                raise UsageError(f"the file {name} of the Redis URL, {path}, cannot be read.", "correct it in the URL.")

    def _password(self, whose: str) -> str:
        path = self.secrets.get(f"{whose}passfile", "")
        if f"{whose}password" in self.secrets or not path:
            return self.secrets.get(f"{whose}password", "")
        try:
            (first, *_) = Path(path).read_text().splitlines() or [""]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"the file with the Redis password, {path}, cannot be read: {error}.", "correct passfile in the URL."
            ) from error
        return first


def addresses(text: str) -> set[str]:
    """``host:port`` of all that a URL names; nothing if it cannot be understood."""
    try:
        return set(RedisUrl.of(text).hosts)
    except UsageError:
        return set()


def _refused(scheme: str) -> UsageError:
    if "cluster" in scheme.lower():
        return UsageError(
            "Redis Cluster is not supported: drills are on one primary, with replicas and Sentinel or without.",
            "name a Redis that is no cluster.",
        )
    return UsageError("the URL of the Redis cannot be understood." if not scheme else f"{scheme}:// is no Redis.", HINT)


def _host(text: str, port: int) -> str:
    found = _HOST.fullmatch(text.strip())
    if found is None or not 0 < int(found[2] or port) < 65_536:
        raise UsageError("a host in the Redis URL cannot be understood.", "write hosts as host:port, with commas.")
    return f"{found[1]}:{found[2] or port}"


def _query(text: str) -> dict[str, str]:
    given = dict(parse_qsl(text, keep_blank_values=True))
    refuse_unknown("the Redis URL", given, QUERY)
    return given


def _db(text: str) -> int:
    if text and (not text.isdecimal() or int(text) > 1 << 30):
        raise UsageError("the database in the Redis URL is no number.", "write, for example, redis://host:6379/0.")
    return int(text or 0)


def _tls(given: Mapping[str, str]) -> dict[str, Any]:
    check = truth("ssl_check_hostname", given.get("ssl_check_hostname", True))
    return {**{name: given[name] for name in FILES if given.get(name)}, "ssl_check_hostname": check}


def _no_tls(given: Mapping[str, str]) -> dict[str, Any] | None:
    for name in (*FILES, "ssl_check_hostname"):
        if name in given:
            raise UsageError(f"the Redis URL gives {name}, but is not by TLS.", "begin it with rediss:// then.")
    return None


def _secrets(userinfo: str, given: Mapping[str, str], kept: Mapping[str, Any]) -> dict[str, str]:
    """All that is secret or leads to it. A name alone, before the @, is the user's."""
    refuse_unknown("the group of secrets 'redis'", kept, SECRETS)
    user, _, password = userinfo.partition(":")
    files = {name: given.get(name, "") for name in ("passfile", "sentinel_passfile")}
    told = {"username": unquote(user), "password": unquote(password), "sentinel_username": given.get("sentinel_user")}
    merged = {**told, **files, **{name: str(value) for name, value in kept.items()}}
    return {name: value for name, value in merged.items() if value}
