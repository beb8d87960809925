"""Two PostgreSQL nodes under Patroni, the etcd that they agree through, and an application on top, on loopback.

Nodes 1 and 2 are Patroni, each of which starts and watches a PostgreSQL; node 3 is etcd. PostgreSQL's ports are
`base_port` and the next one, those of Patroni's REST lie 20 higher, etcd's 40; where a proxy stands before them there
are more (`chaosdrills.lab.postgresql_listeners`). In the lab's folder ``node-N`` is a node's data, ``node-N.log`` its
output (Patroni's and PostgreSQL's in one); ``secrets`` holds the settings and passwords, which are made anew for each
lab and go with its data. Where this PostgreSQL has the extension TimescaleDB (`chaosdrills.lab.postgresql_programs`),
the drill's database has it too.

Node 4 is the small application of `chaosdrills.lab.application`, its port 60 above the first. It has a user and a
schema of its own in the drill's database.

Drills connect as the user drill to the database drill: by `configuration`, in which no password stands.

Options: `base_port` (int), `settings` (PostgreSQL's parameters, over the lab's), `patroni` (Patroni's dynamic
configuration, over `chaosdrills.lab.patroni_settings.DYNAMIC`), and `network`, one of
`chaosdrills.host.network.NETWORKS`; "plain" if it is not chosen.
"""

import json
import re
import secrets
import shlex
import shutil
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from chaosdrills.host.files import write_private
from chaosdrills.host.network import FILTERED, PLAIN
from chaosdrills.host.nodes import Cluster, Node, cluster_dir
from chaosdrills.host.processes import wait_until
from chaosdrills.host.scopes import ETCD as DCS
from chaosdrills.host.scopes import REST, SQL
from chaosdrills.host.sockets import LOOPBACK, accepts
from chaosdrills.lab import (
    application_node,
    networks,
    own_user,
    patroni_settings,
    ports,
    postgresql_listeners,
    supervision,
    timescaledb_options,
)
from chaosdrills.lab.patroni_settings import Passwords, Place
from chaosdrills.lab.postgresql_listeners import RAFT_OFFSET
from chaosdrills.lab.postgresql_programs import Programs, find_programs
from chaosdrills.lab.progress import Progress

SERVICE = "timescaledb"
BASE_PORT = 25432
SERVERS = postgresql_listeners.SERVERS
ETCD = 3
DATABASE = USER = "drill"
UNLOGGED = [  # statements with passwords in them are not to be logged, whatever the lab is told to log
    f"SET {name};"
    for name in ("log_statement = none", "log_min_duration_statement = -1", "log_min_error_statement = panic")
]
POSTGRESQL, ETCD_KIND = "postgresql", "etcd"
REST_TIMEOUT_S = 2.0
ETCD_S = 5.0
ENDPOINT_KEY = "timescaledb_dsn"
DEFAULT_ENDPOINT = f"postgresql://{USER}@{LOOPBACK}:{BASE_PORT},{LOOPBACK}:{BASE_PORT + 1}/{DATABASE}"


def normalise(options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` checked, as `chaosdrills.lab.timescaledb_options.normalise` has them. Raises `UsageError`."""
    return timescaledb_options.normalise(options, postgresql_listeners.HIGHEST_OFFSET)


def addresses(endpoint: str) -> set[str]:
    """The addresses that a DSN leads to, as `chaosdrills.timescaledb.dsn.addresses` has them: that needs the driver."""
    from chaosdrills.timescaledb import dsn

    return dsn.addresses(endpoint)


def suits(name: str, wanted: Any, actual: Any) -> bool:
    """Whether a lab whose option `name` is `actual` will do where `wanted` was asked for."""
    return networks.suits(wanted, actual or PLAIN) if name == "network" else bool(wanted == actual)


def prepare(progress: Progress) -> None:
    """Look whether all that a start needs is here; there is nothing to fetch or make."""
    found = find_programs()
    progress(f"PostgreSQL {found.version} in {found.bindir}")


def build(options: Mapping[str, Any], progress: Progress) -> Cluster:
    """Lay out a new cluster on disk for normalised `options`; nothing is started.

    Raises `UnavailableError` naming the holder of a port that is taken, or a program that is missing.
    """
    base_port = options["base_port"] or BASE_PORT
    network = networks.choose(options["network"], progress, own_user.why_not)
    ports.require_free(
        ports_of(base_port, network),
        "end that process, or choose another base port (option base_port, --base-port).",
    )
    programs = find_programs()
    timescaledb_options.require_taken(programs, options["settings"])
    folder, passwords = cluster_dir(SERVICE), Passwords(*(secrets.token_urlsafe(24) for _ in range(5)))
    private = folder / "secrets"
    shutil.rmtree(private, ignore_errors=True)
    private.mkdir(mode=0o700)
    _write_passwords(private, base_port, passwords)
    write_private(private / "setup.sql", _setup(passwords, programs.has_timescaledb))
    chosen = {**options, "base_port": base_port, "network": network}
    servers = [_server(node_id, programs, passwords, chosen) for node_id in SERVERS]
    endpoint = ",".join(node.endpoint for node in servers)
    application = application_node.application_node(SERVICE, base_port, endpoint, DATABASE)
    every = [_etcd(programs, chosen), *servers, application]
    return Cluster(SERVICE, endpoint, every, options=chosen, network=network)


def configuration(cluster: Cluster) -> dict[str, str]:
    """What an experiment's configuration is told of the lab: how it is reached, with passwords in files."""
    private = cluster_dir(SERVICE) / "secrets"
    passfile = quote(str(private / "pgpass"), safe="/")
    return {
        ENDPOINT_KEY: f"postgresql://{USER}@{cluster.endpoint}/{DATABASE}?passfile={passfile}",
        "timescaledb_patroni": ",".join(f"http://{LOOPBACK}:{it.listeners[REST]}" for it in _servers(cluster)),
        "timescaledb_patroni_auth_file": str(private / "rest"),
        "timescaledb_app_url": application_node.health_url(cluster),
    }


def let_settle(node: Node) -> None:
    """Have etcd answer before Patroni asks: it would try again after 5 s only."""
    if node.kind == ETCD_KIND:
        wait_until(lambda: accepts(_itself(node, DCS)) or not node.alive, ETCD_S)


def awaited(cluster: Cluster) -> str:
    """What is still missing until the cluster can be used; empty when it can.

    It can when etcd answers, one node leads, the other streams from it on its timeline, and is a synchronous standby
    if the lab is to have one, and when the application is well. Behind a proxy the nodes themselves are asked: a proxy
    has to find out for each connection who makes it, and this asks many times a second. Nodes and application speak
    through it.
    """
    if not all(accepts(_itself(node, DCS), REST_TIMEOUT_S) for node in cluster.nodes if node.kind == ETCD_KIND):
        return "an answer of etcd"
    servers = _servers(cluster)
    members = _members(_itself(servers[0], REST))
    if isinstance(members, str):
        return f"an answer of Patroni on node {servers[0].id} ({members})"
    roles = {str(member.get("role")): member for member in members}
    leader = roles.get("leader")
    if leader is None or leader.get("state") != "running":
        return "a leader"
    waiting = [it for it in members if it is not leader and it.get("state") != "streaming"]
    if len(members) < len(servers) or waiting:
        return "a replica that streams"
    if any(it.get("timeline") != leader.get("timeline") for it in members):
        return "one timeline"
    wanted = {**patroni_settings.DYNAMIC, **cluster.options["patroni"]}["synchronous_mode"]
    if wanted and not roles.keys() & {"sync_standby", "quorum_standby"}:
        return "a synchronous standby"
    return application_node.awaited(cluster)


def is_complaint(line: str) -> bool:
    """Whether a line of a node's log tells why it ended."""
    return re.search(r"\b(ERROR|FATAL|CRITICAL|PANIC)\b|Exception|error:|\"level\":\"(fatal|panic)\"", line) is not None


def _itself(node: Node, who: str) -> str:
    """The address at which a node listens itself."""
    return f"{LOOPBACK}:{(node.behind or node.listeners)[who]}"


def _members(rest: str) -> list[dict[str, Any]] | str:
    """The members of the cluster as one Patroni sees them, or why it does not say."""
    try:
        with urllib.request.urlopen(f"http://{rest}/cluster", timeout=REST_TIMEOUT_S) as answer:
            found: list[dict[str, Any]] = json.load(answer).get("members", [])
            return found
    except (OSError, ValueError) as error:
        return str(error)


def _server(node_id: int, programs: Programs, passwords: Passwords, options: Mapping[str, Any]) -> Node:
    """A node of PostgreSQL and Patroni, its settings written."""
    folder, base_port, network = cluster_dir(SERVICE), options["base_port"], options["network"]
    data, log, private = folder / f"node-{node_id}", folder / f"node-{node_id}.log", folder / "secrets"
    public = postgresql_listeners.server_ports(base_port, node_id)
    own = postgresql_listeners.own_ports(network, public)
    place = Place(f"node{node_id}", public, own or public, data, private / f"pgpass-{node_id}")
    setup = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(private / "setup.sql")]
    told = patroni_settings.settings(
        place,
        postgresql_listeners.etcd_ports(base_port)[DCS],
        programs.bindir,
        passwords,
        shlex.join([str(programs.bindir / setup[0]), *setup[1:]]),
        _parameters(programs, options["settings"]),
        {**patroni_settings.DYNAMIC, **options["patroni"]},
    )
    path = private / f"node-{node_id}.yml"
    write_private(path, json.dumps(told, ensure_ascii=False, indent=2))
    _clear(data, log)
    env = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", **supervision.marked(SERVICE)}
    node = Node(
        node_id, f"{LOOPBACK}:{public[SQL]}", programs.patroni(path), env, str(folder), str(log), str(data),
        listeners=public, behind=own, kind=POSTGRESQL, pid_file=str(data / "postmaster.pid"),
    )  # fmt: skip
    if network != FILTERED:
        return node
    return networks.with_own_user(node, lambda uid: [*own_user.prefix(uid), *programs.patroni(path, plainly=True)])


def _etcd(programs: Programs, options: Mapping[str, Any]) -> Node:
    """The node of etcd."""
    folder, base_port, network = cluster_dir(SERVICE), options["base_port"], options["network"]
    data, log = folder / f"node-{ETCD}", folder / f"node-{ETCD}.log"
    public = postgresql_listeners.etcd_ports(base_port)
    own = postgresql_listeners.own_ports(network, public)
    raft, listens = f"http://{LOOPBACK}:{base_port + RAFT_OFFSET}", (own or public)[DCS]
    argv = [
        str(programs.etcd), "--name=etcd", f"--data-dir={data}", "--log-level=warn",
        f"--listen-client-urls=http://{LOOPBACK}:{listens}",
        f"--advertise-client-urls=http://{LOOPBACK}:{public[DCS]}",
        f"--listen-peer-urls={raft}", f"--initial-advertise-peer-urls={raft}", f"--initial-cluster=etcd={raft}",
    ]  # fmt: skip
    _clear(data, log)
    node = Node(
        ETCD, f"{LOOPBACK}:{public[DCS]}", argv, supervision.marked(SERVICE), str(folder), str(log), str(data),
        listeners=public, behind=own, kind=ETCD_KIND,
    )  # fmt: skip
    return networks.with_own_user(node) if network == FILTERED else node


def _clear(data: Path, log: Path) -> None:
    shutil.rmtree(data, ignore_errors=True)
    log.unlink(missing_ok=True)


def _servers(cluster: Cluster) -> list[Node]:
    return [node for node in cluster.nodes if node.kind == POSTGRESQL]


def ports_of(base_port: int, network: str = PLAIN) -> list[int]:
    """Every port of a lab, the servers' first."""
    return [*postgresql_listeners.all_ports(network, base_port), base_port + application_node.OFFSET]


def _parameters(programs: Programs, settings: Mapping[str, str]) -> dict[str, str]:
    """PostgreSQL's parameters: the library of TimescaleDB, where there is one, goes with those that are asked for."""
    if not programs.has_timescaledb:
        return dict(settings)
    libraries = [name for name in ("timescaledb", settings.get("shared_preload_libraries", "")) if name]
    return {"timescaledb.telemetry_level": "off", **settings, "shared_preload_libraries": ",".join(libraries)}


def _write_passwords(private: Path, base_port: int, passwords: Passwords) -> None:
    users = {
        "pgpass": (USER, passwords.drill),
        application_node.PASSFILE: (application_node.USER, passwords.application),
    }
    for name, (user, password) in users.items():
        lines = [f"{LOOPBACK}:{base_port + index}:*:{user}:{password}\n" for index in range(len(SERVERS))]
        write_private(private / name, "".join(lines))
    write_private(private / "rest", f"{patroni_settings.REST_USER}:{passwords.rest}\n")


def _setup(passwords: Passwords, timescaledb: bool) -> str:
    """What is done once on the first leader: the drill's user and database, and what is the application's."""
    create = [
        *UNLOGGED,
        f"CREATE ROLE {USER} LOGIN PASSWORD '{passwords.drill}' IN ROLE pg_monitor;",
        f"CREATE DATABASE {DATABASE} OWNER {USER};",
        f"\\connect {DATABASE}",
        *UNLOGGED,
        *(["CREATE EXTENSION IF NOT EXISTS timescaledb;"] if timescaledb else []),
        *application_node.setup(passwords.application),
    ]
    return "".join(f"{line}\n" for line in create)
