"""A lab of Redis for tests, and what its nodes say to the drill's user."""

from typing import Any

from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import this_process, wait_until
from chaosdrills.host.scopes import SENTINEL
from chaosdrills.lab import lifecycle, redis
from chaosdrills.redis.client import ConnectionRefused, ServerError, Session
from chaosdrills.redis.url import RedisUrl
from tests.conftest import REDIS_OFFSETS, free_base_port
from tests.lab.shipped import Reached

MASTER = "drill"


def ask(cluster: Cluster, node_id: int, *words: str | int, timeout_s: float = 2) -> Any:
    """What a node answers. Raises what `Session` raises."""
    node, url = cluster.node(node_id), RedisUrl.of(redis.configuration(cluster)["redis_url"])
    login = url.sentinel_login() if SENTINEL in node.listeners else url.login()
    session = Session(node.endpoint, login, "a-test", timeout_s)
    try:
        return session.do(*words, timeout_s=timeout_s)
    finally:
        session.close()


def role(cluster: Cluster, node_id: int) -> str:
    """ "master" or "slave"; empty if it does not say."""
    try:
        said: bytes = ask(cluster, node_id, "ROLE")[0]
        return said.decode()
    except (ServerError, ConnectionRefused):
        return ""


def primary(cluster: Cluster) -> int:
    """The one node that leads."""
    leading = [node for node in (1, 2, 3) if role(cluster, node) == "master"]
    assert len(leading) == 1, f"{leading} lead"
    return leading[0]


def primary_by(cluster: Cluster, sentinel_id: int) -> str:
    """Which server a sentinel takes for the primary."""
    host, port = ask(cluster, sentinel_id, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
    return f"{host.decode()}:{port.decode()}"


def wait_whole(cluster: Cluster, timeout_s: float = 60) -> None:
    """Wait until the lab says of itself that it can be used."""
    assert wait_until(lambda: not redis.awaited(cluster), timeout_s, 0.1), redis.awaited(cluster)


def start_lab(options: dict[str, Any]) -> Reached:
    """A lab with these options for this process's time, for `tests.lab.shipped.Labs`."""
    cluster = lifecycle.up("redis", {**options, "base_port": free_base_port(REDIS_OFFSETS)}, owner=this_process())
    return "", {name.upper(): value for name, value in redis.configuration(cluster).items()}
