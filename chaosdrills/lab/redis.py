"""One Redis primary, two replicas, and three sentinels that watch over them, on loopback.

Nodes 1 to 3 are servers, the first of which leads when the lab starts; nodes 4 to 6 are sentinels, which call what they
watch "drill". The servers' ports are `base_port` and the two after it, the sentinels' lie 20 higher; where a proxy
stands before them there are more (`chaosdrills.lab.redis_listeners`). In the lab's folder ``node-N`` is a node's data,
``node-N.log`` its output; ``secrets`` holds settings, passwords and certificates, which are made anew for each lab and
go with its data.

A server that was killed comes back as what it was last: an old primary leads no replica any more, but takes writes
until the sentinels have demoted it, some ten seconds later. So it is in the field, too.

Node 7, if there is to be one, is the self-healer of `chaosdrills.lab.healer`, its port 40 above the first: it starts
the others again, and so would have a drill's killed server back before the drill does.

Options: `base_port` (int), `settings` (the servers', over the lab's), `sentinel` (the sentinels', over
`chaosdrills.lab.redis_settings.SENTINEL`), `persistence` ("aof", "rdb" or "none"; "aof" if it is not chosen), `acl`
(users with passwords and few rights, `chaosdrills.lab.redis_access`), `tls` (nothing is spoken but that), `healer`
("", none; "backoff" or "storm"), and `network`, one of `chaosdrills.host.network.NETWORKS`; "plain" if it is not
chosen. With `feast` (bool) node 8 is the feature server of Feast (`chaosdrills.lab.feature_server`), its port 60 above
the first.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from chaosdrills.host.files import write_private
from chaosdrills.host.network import FILTERED, PLAIN
from chaosdrills.host.nodes import Cluster, Node, cluster_dir
from chaosdrills.host.processes import wait_until
from chaosdrills.host.sockets import LOOPBACK, accepts
from chaosdrills.lab import (
    feature_server,
    healer_node,
    networks,
    ports,
    redis_access,
    redis_certificates,
    redis_listeners,
    redis_options,
    redis_settings,
    supervision,
)
from chaosdrills.lab.feast_repository import settings_of
from chaosdrills.lab.progress import Progress
from chaosdrills.lab.redis_access import Passwords
from chaosdrills.lab.redis_listeners import SENTINELS, SERVERS
from chaosdrills.lab.redis_programs import Program, find_program, link
from chaosdrills.lab.redis_settings import AOF, MASTER, Place

SERVICE = "redis"
BASE_PORT = 27379
SERVER_KIND, SENTINEL_KIND = "redis", "sentinel"
SETTLE_S = 10.0
ENDPOINT_KEY = "redis_url"
DEFAULT_ENDPOINT = f"redis+sentinel://{LOOPBACK}:27399,{LOOPBACK}:27400,{LOOPBACK}:27401/{MASTER}"


def normalise(options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` checked, as `chaosdrills.lab.redis_options.normalise` has them. Raises `UsageError`."""
    return redis_options.normalise(options)


def addresses(endpoint: str) -> set[str]:
    """The addresses that a URL names, as `chaosdrills.redis.url.addresses` has them."""
    from chaosdrills.redis import url

    return url.addresses(endpoint)


def suits(name: str, wanted: Any, actual: Any) -> bool:
    """Whether a lab whose option `name` is `actual` will do where `wanted` was asked for."""
    if name == "feast":
        return bool(actual or not wanted)
    return networks.suits(wanted, actual or PLAIN) if name == "network" else bool(wanted == actual)


def prepare(progress: Progress) -> None:
    """Look whether all that a start needs is here; there is nothing to fetch or make."""
    found = find_program()
    progress(f"{found.flavour} {found.version}, {found.path}")


def build(options: Mapping[str, Any], progress: Progress) -> Cluster:
    """Lay out a new cluster on disk for normalised `options`; nothing is started.

    Raises `UnavailableError` naming the holder of a port that is taken or a program that is missing, `UsageError` for
    what the server does not take.
    """
    base_port, network = options["base_port"] or BASE_PORT, networks.choose(options["network"], progress)
    ports.require_free(
        ports_of(base_port, network, options["healer"], options["feast"]),
        "end that process, or choose another base port (option base_port, --base-port).",
    )
    program, folder = find_program(), cluster_dir(SERVICE)
    redis_options.require_taken(program, options)
    chosen = {**options, "base_port": base_port, "network": network, "persistence": options["persistence"] or AOF}
    _write_settings(program, folder, chosen)
    called = link(program.path, folder / "program")
    nodes = [_node(node_id, called, folder, chosen) for node_id in (*SERVERS, *SENTINELS)]
    endpoint = ",".join(node.endpoint for node in (*nodes[len(SERVERS) :], *nodes[: len(SERVERS)]))
    cluster = Cluster(SERVICE, endpoint, nodes, options=chosen, network=network)
    if options["healer"]:
        port, url = base_port + healer_node.OFFSET, configuration(cluster)[ENDPOINT_KEY]
        nodes.append(healer_node.healer_node(SERVICE, nodes, port, options["healer"], url))
    if options["feast"]:
        sentinels = ",".join(node.endpoint for node in nodes if node.id in SENTINELS)
        nodes.append(feature_server.feature_server_node(SERVICE, base_port, settings_of(sentinels, MASTER), progress))
    return cluster


def configuration(cluster: Cluster) -> dict[str, str]:
    """What an experiment's configuration is told: how the lab is reached, and where it serves features, if it does.

    Passwords are in files.
    """
    private = cluster_dir(SERVICE) / "secrets"
    sentinels = ",".join(node.endpoint for node in cluster.nodes if node.kind == SENTINEL_KIND)
    user, query = "", {}
    if cluster.options["acl"]:
        user, passfile = f"{redis_access.USER}@", redis_access.passfile(private)
        query = {"passfile": passfile, "sentinel_user": redis_access.USER}
        query["sentinel_passfile"] = redis_access.sentinel_passfile(private)
    if cluster.options["tls"]:
        query["ssl_ca_certs"] = private / redis_certificates.AUTHORITY
    scheme = "rediss+sentinel" if cluster.options["tls"] else "redis+sentinel"
    asked = f"?{urlencode(query, safe='/')}" if query else ""
    return {
        ENDPOINT_KEY: f"{scheme}://{user}{sentinels}/{MASTER}{asked}",
        "redis_healer_url": healer_node.url_of(cluster),
        **feature_server.configuration(cluster),
    }


def let_settle(node: Node) -> None:
    """Have each server accept connections before what comes after it asks: that would ask again after 1 s only."""
    if node.kind == SERVER_KIND:
        wait_until(lambda: accepts(node.endpoint) or not node.alive, SETTLE_S, 0.005)


def awaited(cluster: Cluster) -> str:
    """What is still missing until the cluster can be used; empty when it can.

    It can when one server leads and all others follow it, and every sentinel sees that, and all other sentinels; and
    when features are served, if the lab has a feature server.
    """
    from chaosdrills.lab import redis_health
    from chaosdrills.redis.url import RedisUrl

    servers, sentinels = (
        [node for node in cluster.nodes if node.kind == kind] for kind in (SERVER_KIND, SENTINEL_KIND)
    )
    url = RedisUrl.of(configuration(cluster)[ENDPOINT_KEY])
    found = redis_health.awaited(url, servers, sentinels)
    return found or healer_node.awaited(cluster) or feature_server.awaited(cluster)


def is_complaint(line: str) -> bool:
    """Whether a line of a node's log tells why it ended: one with a warning in it, or one that is none of the log's."""
    found = re.match(r"\d+:[A-Z] .*? ([.*#-]) (.*)", line)
    return bool(line.strip()) if found is None else found[1] == "#" and "overcommit" not in found[2]


def ports_of(
    base_port: int, network: str = PLAIN, healer: str = healer_node.BACKOFF, feast: bool | None = True
) -> list[int]:
    """Every port of a lab, the servers' first."""
    own = redis_listeners.all_ports(network, base_port)
    healers = [base_port + healer_node.OFFSET] if healer else []
    return [*own, *healers, *feature_server.ports_of(base_port, bool(feast))]


def _place(node_id: int, folder: Path, options: Mapping[str, Any]) -> Place:
    ports_of_node = redis_listeners.public_ports(options["base_port"], node_id)
    (public,) = ports_of_node.values()
    own = redis_listeners.own_ports(options["network"], ports_of_node)
    return Place(node_id, public, next(iter(own.values()), public), folder / f"node-{node_id}")


def _write_settings(program: Program, folder: Path, options: Mapping[str, Any]) -> None:
    """Write every node's file of settings, and what it needs beside that."""
    private = folder / "secrets"
    shutil.rmtree(private, ignore_errors=True)
    private.mkdir(mode=0o700)
    settings, of_all = _settings(folder, options), list[str]()
    if options["tls"]:
        redis_certificates.make(private)
        of_all = list(redis_certificates.lines(private))
        redis_options.require_tls(program, of_all)
    passwords = Passwords.made()
    if options["acl"]:
        passwords.write(private)
    for node_id, lines in settings.items():
        lets_in = passwords.server_lines() if node_id in SERVERS else passwords.sentinel_lines()
        whole = [*lines, *of_all, *(lets_in if options["acl"] else ())]
        write_private(private / f"node-{node_id}.conf", "".join(f"{line}\n" for line in whole))


def _settings(folder: Path, options: Mapping[str, Any]) -> dict[int, list[str]]:
    """The lines of every node's file of settings that say where and what it is."""
    servers, sentinels = ([_place(each, folder, options) for each in which] for which in (SERVERS, SENTINELS))
    (primary, *_), tls = servers, bool(options["tls"])
    told = {
        it.id: redis_settings.server(it, primary, options["persistence"], options["settings"], tls) for it in servers
    }
    watching = {it.id: redis_settings.sentinel(it, servers, sentinels, options["sentinel"], tls) for it in sentinels}
    return told | watching


def _node(node_id: int, program: Path, folder: Path, options: Mapping[str, Any]) -> Node:
    """A node, its folder made."""
    place, watches = _place(node_id, folder, options), node_id in SENTINELS
    log = folder / f"node-{node_id}.log"
    shutil.rmtree(place.data, ignore_errors=True)
    place.data.mkdir()
    log.unlink(missing_ok=True)
    public = redis_listeners.public_ports(options["base_port"], node_id)
    argv = [str(program), str(folder / "secrets" / f"node-{node_id}.conf"), *(["--sentinel"] if watches else [])]
    node = Node(
        node_id, f"{LOOPBACK}:{place.public}", argv, supervision.marked(SERVICE), str(folder), str(log),
        str(place.data), listeners=public, behind=redis_listeners.own_ports(options["network"], public),
        kind=SENTINEL_KIND if watches else SERVER_KIND,
    )  # fmt: skip
    return networks.with_own_user(node) if options["network"] == FILTERED else node
