"""What a Feast repository's ``feature_store.yaml`` says of its online store, read before Feast is run at all.

Feast is lenient where a drill must not be: it keeps an unset ``${VARIABLE}`` as it stands, and writes an empty registry
where there is none. Both are errors here. What Feast makes of a connection string (``host:port,host:port,name=value``)
becomes a `redis_url` and the secrets that go with it; a password never stands in the URL.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from chaosdrills.errors import UnavailableError, UsageError

try:
    import yaml
except ImportError as missing:
    raise UnavailableError(f"PyYAML is not installed: {missing}.", "run pip install 'chaosdrills[feast]'.") from missing

FILE = "feature_store.yaml"
SINGLE, SENTINEL, CLUSTER = REDIS_TYPES = ("redis", "redis_sentinel", "redis_cluster")
STORES = ("redis", "feast.infra.online_stores.redis.RedisOnlineStore")
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
KEY_VERSION = 3
_UNSET = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Settings:
    """A repository: its folder, project and registry (a path, or a URL), and the way to its online store.

    `secrets` are those of the experiment's group ``redis``.
    """

    folder: Path
    project: str
    registry: str
    redis_url: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(where: str | Path) -> "Settings":
        """The settings of the repository in this folder, or in this file. Raises `UsageError`; shows no secret."""
        path = Path(where)
        path = path / FILE if path.is_dir() else path
        told = _read(path)
        project = told.get("project")
        if not isinstance(project, str) or not project:
            raise UsageError(f"{path} names no project.", "give it one, as in 'project: shop'.")
        version = told.get("entity_key_serialization_version", KEY_VERSION)
        if version != KEY_VERSION:
            raise UsageError(
                f"{path} has entity_key_serialization_version {version!r}: rows are written as version {KEY_VERSION}.",
                f"use entity_key_serialization_version: {KEY_VERSION}.",
            )
        folder = path.parent.absolute()
        registry = _registry(path, folder, told.get("registry"))
        return Settings(folder, project, registry, *_way(path, told.get("online_store")))


def _read(path: Path) -> dict[str, Any]:
    """What stands in the file, as Feast expands it: each variable that is set, but not one that is not."""
    try:
        found = yaml.safe_load(os.path.expandvars(path.read_text()))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", f"name the folder of a Feast repository, with {FILE} in it."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8.", "write it anew.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line} is not YAML: {getattr(error, 'problem', '')}.", "correct it.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no settings.", "write, for example, 'project: shop'.")
    for where, text in _texts(found, ""):
        if unset := _UNSET.search(text):
            raise UsageError(
                f"{path} takes {where} from the variable {unset[1]}, which is not set; Feast would take the name for "
                "its value.",
                f"set {unset[1]}, then run it again.",
            )
    return found


def _texts(found: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text in it, and where it stands."""
    if isinstance(found, str):
        yield where, found
    items = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for name, value in items:
        yield from _texts(value, f"{where}.{name}" if where else str(name))


def _registry(path: Path, folder: Path, told: Any) -> str:
    """Where the registry is: there, if that is on this machine."""
    given = {"path": told} if isinstance(told, str) else told
    where = given.get("path") if isinstance(given, dict) else None
    if not isinstance(where, str) or not where:
        raise UsageError(f"{path} names no registry.", "give it one, as in 'registry: data/registry.db'.")
    if given.get("enable_online_feature_view_versioning"):
        raise UsageError(
            f"{path} has enable_online_feature_view_versioning, which gives views other names in the online store.",
            "drill a repository without.",
        )
    kind = given.get("registry_type", "file")
    if kind != "file":
        raise UsageError(
            f"{path} has a registry of type {kind!r}, which is not read here.",
            "drill a repository with a registry file.",
        )
    if urlsplit(where).scheme not in ("", "file"):
        return where
    file = folder / where.removeprefix("file://")
    if not file.is_file():
        raise UsageError(
            f"there is no registry at {file}; Feast would write an empty one there.",
            f"run 'feast apply' in {folder}, or correct the registry in {path}.",
        )
    return str(file)


def _way(path: Path, told: Any) -> tuple[str, dict[str, str]]:
    """The way to the online store as a `redis_url`, and the secrets for it."""
    store = {"type": told or "sqlite"} if isinstance(told, str | None) else told
    kind = store.get("type", SINGLE) if isinstance(store, dict) else None
    if kind not in STORES:
        raise UsageError(
            f"the online store in {path} is {str(kind)[:60]!r}, not Redis.", "drill a repository whose store is Redis."
        )
    mode = store.get("redis_type", SINGLE)
    if mode == CLUSTER:
        raise UsageError(
            f"{path} has redis_type {CLUSTER}: Redis Cluster is not supported.",
            f"drill a store of redis_type {SINGLE} or {SENTINEL}.",
        )
    if mode not in REDIS_TYPES:
        raise UsageError(f"{path} has redis_type {str(mode)[:60]!r}.", f"use {SINGLE} or {SENTINEL}.")
    hosts, given = _taken_apart(path, store.get("connection_string", "localhost:6379"))
    secrets = {name: _as_sent(path, name, given[name]) for name in ("username", "password") if given.get(name)}
    user = f"{quote(secrets.pop('username'), safe='')}@" if "username" in secrets else ""
    scheme, query = ("rediss", _tls(path, given)) if given.get("ssl") else ("redis", {})
    db = given.get("db", 0)
    if not isinstance(db, int) or db < 0:
        raise UsageError(f"the connection_string in {path} has a db that is no number.", "write, for example, db=0.")
    if mode == SENTINEL:
        return _through_sentinel(path, hosts, user, db, store, given), secrets
    return f"{scheme}://{user}{hosts[0]}/{db}{_asked(query)}", secrets


def _through_sentinel(
    path: Path, hosts: list[str], user: str, db: int, store: dict[str, Any], given: Mapping[str, Any]
) -> str:
    if given.get("ssl"):
        raise UsageError(
            f"{path} has ssl=true with {SENTINEL}: Feast then speaks TLS to servers and not to sentinels.",
            "give redis_url yourself, or drill a store without TLS.",
        )
    master = store.get("sentinel_master", "mymaster")
    if not isinstance(master, str) or not master:
        raise UsageError(f"{path} has a sentinel_master that is no name.", "write, for example, mymaster.")
    return f"redis+sentinel://{user}{','.join(hosts)}/{quote(master, safe='')}{_asked({'db': str(db)} if db else {})}"


def _taken_apart(path: Path, text: Any) -> tuple[list[str], dict[str, Any]]:
    """Hosts and settings of a connection string, as Feast takes it apart: a value is JSON if it can be."""
    parts = text.split(",") if isinstance(text, str) else []
    hosts = [part.strip() for part in parts if "=" not in part]
    if not hosts or not all(re.fullmatch(r"[^\s:/@]+:\d{1,5}", host) for host in hosts):
        raise UsageError(
            f"the connection_string in {path} cannot be understood: it is to begin with host:port.",
            "write it as host:port,host:port,name=value.",
        )
    given: dict[str, Any] = {}
    for name, _, value in (part.partition("=") for part in parts if "=" in part):
        try:
            given[name.strip()] = json.loads(value)
        except ValueError:
            given[name.strip()] = value
    return hosts, given


def _as_sent(path: Path, name: str, value: Any) -> str:
    """What a server is told: Feast takes ``password=007e3`` for a text and ``7e3`` for a number, and sends that."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    raise UsageError(f"the {name} in the connection_string of {path} is no text.", "put it into quotes there.")


def _tls(path: Path, given: Mapping[str, Any]) -> dict[str, str]:
    if str(given.get("ssl_cert_reqs", "required")).lower() not in ("required", "cert_required"):
        raise UsageError(
            f"the connection_string in {path} has ssl_cert_reqs: drills check the server's certificate.",
            "give ssl_ca_certs instead.",
        )
    found = {name: str(given[name]) for name in FILES if given.get(name)}
    return {**found, "ssl_check_hostname": "false"} if given.get("ssl_check_hostname") is False else found


def _asked(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query, safe='/')}" if query else ""
