"""What a Redis lab still lacks until it can be used, as its servers and sentinels say themselves.

Behind a proxy the nodes themselves are asked: a proxy has to find out for each connection who makes it, and this asks
many times a second. Nodes speak through it.
"""

from collections.abc import Sequence
from typing import Any

from chaosdrills.errors import DrillError
from chaosdrills.host.nodes import Node
from chaosdrills.host.scopes import SENTINEL
from chaosdrills.host.sockets import LOOPBACK
from chaosdrills.lab.redis_settings import MASTER
from chaosdrills.redis.client import ConnectionRefused, Session
from chaosdrills.redis.finding import OUT_OF_SERVICE
from chaosdrills.redis.url import RedisUrl

NAME = "chaosdrills-lab"
ASK_S = 2.0


def awaited(url: RedisUrl, servers: Sequence[Node], sentinels: Sequence[Node]) -> str:
    """What is missing until the servers replicate and the sentinels agree on that; empty if nothing is."""
    try:
        roles = {node.endpoint: _ask(node, url, "ROLE") for node in servers}
        leading = [endpoint for endpoint, role in roles.items() if role[0] == b"master"]
        if len(leading) != 1:
            return f"one primary (there are {len(leading)})"
        why = _replicas_awaited(leading[0], roles)
        for node in sentinels:
            why = why or _sentinel_awaited(node, url, leading[0], len(servers) - 1, len(sentinels) - 1)
        return why
    except _NoAnswerError as error:
        return str(error)


class _NoAnswerError(Exception):
    """A node that does not answer what it is asked."""


def _replicas_awaited(primary: str, roles: dict[str, Any]) -> str:
    online = {f"{LOOPBACK}:{port.decode()}" for _, port, _ in roles[primary][2]}
    for endpoint, role in roles.items():
        if endpoint == primary:
            continue
        _, host, port, state, _ = role
        if f"{host.decode()}:{port}" != primary or state != b"connected":
            return f"{endpoint} to follow {primary}"
        if endpoint not in online:
            return f"{endpoint} to be online for {primary}"
    return ""


def _sentinel_awaited(node: Node, url: RedisUrl, primary: str, replicas: int, others: int) -> str:
    """What is missing until a sentinel sees the primary, the replicas and the other sentinels all well."""
    master = _fields(_ask(node, url, "SENTINEL", "MASTER", MASTER))
    if (f"{master['ip']}:{master['port']}", master["flags"]) != (primary, "master"):
        return f"sentinel {node.id} to see {primary} as the primary"
    following = [_fields(each) for each in _ask(node, url, "SENTINEL", "REPLICAS", MASTER)]
    if [_is_well(it) for it in following] != [True] * replicas:
        return f"sentinel {node.id} to see {replicas} replicas"
    known = [_fields(each) for each in _ask(node, url, "SENTINEL", "SENTINELS", MASTER)]
    if [_is_well(it) for it in known] != [True] * others:
        return f"sentinel {node.id} to see {others} other sentinels"
    return ""


def _is_well(instance: dict[str, str]) -> bool:
    """Whether a sentinel takes another node for one that serves; that this saw the primary down once is no ill."""
    return not set(instance["flags"].split(",")) & set(OUT_OF_SERVICE)


def _ask(node: Node, url: RedisUrl, *words: str) -> Any:
    who, port = next(iter((node.behind or node.listeners).items()))
    login = url.sentinel_login() if who == SENTINEL else url.login()
    try:
        session = Session(f"{LOOPBACK}:{port}", login, NAME, ASK_S)
        try:
            return session.do(*words, timeout_s=ASK_S)
        finally:
            session.close()
    except (DrillError, ConnectionRefused) as error:
        said = error.message if isinstance(error, DrillError) else str(error)
        raise _NoAnswerError(f"an answer of {node.kind} {node.id} ({said.rstrip('.')})") from error


def _fields(flat: list[bytes]) -> dict[str, str]:
    texts = [it.decode(errors="replace") for it in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
