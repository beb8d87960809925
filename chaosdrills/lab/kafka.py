"""Three Kafka nodes, each broker and controller (KRaft), on loopback.

Client ports are `base_port` and the two after it, controller ports lie 100 higher (where nodes can be cut off there are
more: `chaosdrills.lab.kafka_listeners`). Everything is in the lab's folder (`chaosdrills.host.nodes.cluster_dir`):
``node-N`` is a node's log directory, ``node-N.properties`` its settings, ``node-N.log`` its output. Every setting that
decides how fast a failure is noticed is Kafka's own default (the session timeout is 9 s), so that figures are honest;
the options can change any of them.

Options: `base_port` (int), `settings` (a dict of broker settings that go over the lab's), and `network`, one of
`chaosdrills.host.network.NETWORKS`; "plain" if it is not chosen.
"""

import base64
import re
import shutil
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.files import write_atomic
from chaosdrills.host.network import FILTERED, PLAIN
from chaosdrills.host.nodes import Cluster, Node, cluster_dir, load
from chaosdrills.host.processes import this_process
from chaosdrills.host.scopes import CLIENT, CONTROLLER
from chaosdrills.host.sockets import LOOPBACK
from chaosdrills.lab import choices, kafka_aot, kafka_listeners, kafka_wire, networks, ports, supervision
from chaosdrills.lab.kafka_runtime import Runtime, find_runtime
from chaosdrills.lab.progress import Progress

SERVICE = "kafka"
BASE_PORT = 29092
NODES = (1, 2, 3)
TRAINING_TIMEOUT_S = 90.0
ENDPOINT_KEY = "kafka_bootstrap_servers"
DEFAULT_ENDPOINT = ",".join(f"{LOOPBACK}:{BASE_PORT + index}" for index in range(len(NODES)))

# What a drill's cluster needs beyond Kafka's defaults: nothing created by accident, nothing removed by retention,
# small internal topics, and no waiting for consumers that never come.
SETTINGS: dict[str, object] = {
    "auto.create.topics.enable": False,
    "default.replication.factor": 3,
    "offsets.topic.replication.factor": 3,
    "offsets.topic.num.partitions": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "transaction.state.log.num.partitions": 3,
    "share.coordinator.state.topic.replication.factor": 3,
    "share.coordinator.state.topic.min.isr": 2,
    "share.coordinator.state.topic.num.partitions": 3,
    "group.initial.rebalance.delay.ms": 0,
    "log.retention.ms": -1,
    "log.retention.bytes": -1,
    "log.cleaner.dedupe.buffer.size": 8 << 20,
}
OWNED = {"node.id", "process.roles", "listeners", "controller.listener.names", "log.dirs", "controller.quorum.voters"}
OWNED_IF_CUT = {"advertised.listeners", "inter.broker.listener.name", "listener.security.protocol.map"}


@dataclass(frozen=True)
class Layout:
    """Where one node's files are and which ports it has."""

    id: int
    folder: Path
    base_port: int
    network: str = PLAIN

    @property
    def public(self) -> dict[str, int]:
        """The ports at which others reach it, by who they are."""
        return kafka_listeners.public_ports(self.network, self.base_port + self.id - 1)

    @property
    def own(self) -> dict[str, int]:
        """The ports at which it listens behind a proxy, if there is one."""
        return kafka_listeners.own_ports(self.network, self.public)

    @property
    def data(self) -> Path:
        return self.folder / f"node-{self.id}"

    @property
    def properties(self) -> Path:
        return self.folder / f"node-{self.id}.properties"

    @property
    def log(self) -> Path:
        return self.folder / f"node-{self.id}.log"

    @property
    def endpoint(self) -> str:
        return f"{LOOPBACK}:{self.public[CLIENT]}"


def normalise(options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` checked. Raises `UsageError`.

    `{"base_port": int, "settings": {str: str}, "network": str}`, port and network None where they were not chosen.
    """
    unknown = sorted(set(options) - {"base_port", "settings", "network"})
    if unknown:
        raise UsageError(f"the Kafka lab has no option '{unknown[0]}'.", "use base_port, settings and network.")
    network = networks.normalise(options.get("network"))
    owned = OWNED if network in (None, PLAIN) else OWNED | OWNED_IF_CUT
    settings = _settings(options.get("settings") or {}, owned)
    base_port = choices.base_port(options.get("base_port"), kafka_listeners.HIGHEST_OFFSET + len(NODES))
    return {"base_port": base_port, "settings": settings, "network": network}


def suits(name: str, wanted: Any, actual: Any) -> bool:
    """Whether a lab whose option `name` is `actual` will do where `wanted` was asked for."""
    return networks.suits(wanted, actual or PLAIN) if name == "network" else bool(wanted == actual)


def prepare(progress: Progress) -> None:
    """Fetch and make all that a start needs and that lasts: the jars, the format, the AOT cache."""
    runtime = find_runtime(progress)
    cluster = load(SERVICE)
    if cluster is not None and any(node.alive for node in cluster.nodes) and not kafka_aot.is_made(runtime):
        raise UnavailableError(
            "an AOT cache is never made beside a running lab: it would slow the brokers down.",
            "run 'chaos drills lab down kafka' first.",
        )
    kafka_aot.with_cache(runtime, _train, progress)


def build(options: Mapping[str, Any], progress: Progress) -> Cluster:
    """Lay out a new cluster on disk for normalised `options`; nothing is started.

    Raises `UnavailableError` naming the holder of a port that is taken.
    """
    base_port, network = options["base_port"] or BASE_PORT, networks.choose(options["network"], progress)
    layouts = [Layout(node_id, cluster_dir(SERVICE), base_port, network) for node_id in NODES]
    _require_ports(layouts)
    runtime = kafka_aot.with_cache(find_runtime(progress), _train, progress)
    return _lay_out(SERVICE, runtime, layouts, {**options, "base_port": base_port, "network": network})


def _train(runtime: Runtime) -> Cluster:
    """Start a single broker on free ports, as the training of an AOT cache."""
    layouts = [Layout(1, cluster_dir(kafka_aot.TRAINING), ports.free_pair(kafka_listeners.OFFSETS[CONTROLLER]))]
    single = {name: "1" for name in SETTINGS if name.endswith((".replication.factor", ".min.isr"))}
    cluster = _lay_out(kafka_aot.TRAINING, runtime, layouts, {"settings": single})
    supervision.start(cluster, this_process())
    supervision.wait_ready(cluster, awaited, is_complaint, TRAINING_TIMEOUT_S)
    return cluster


def _lay_out(service: str, runtime: Runtime, layouts: list[Layout], options: Mapping[str, Any]) -> Cluster:
    """Write the data directories and settings of `layouts` and say how each is started."""
    folder = cluster_dir(service)
    if "," in str(folder):
        hint = "set XDG_STATE_HOME to another folder."
        raise UnavailableError(f"Kafka cannot use the folder {folder}: commas separate its folders.", hint)
    (folder / "tmp").mkdir(exist_ok=True)
    cluster_id, voters = _uuid(), ",".join(f"{it.id}@{LOOPBACK}:{it.public[CONTROLLER]}" for it in layouts)
    for layout in layouts:
        _format(layout, cluster_id, runtime.bootstrap)
        _write_settings(layout, voters, options["settings"])
        layout.log.unlink(missing_ok=True)
    nodes = [_node(service, runtime, layout) for layout in layouts]
    endpoint, network = ",".join(node.endpoint for node in nodes), layouts[0].network
    return Cluster(service, endpoint, nodes, options=dict(options), network=network)


def _node(service: str, runtime: Runtime, layout: Layout) -> Node:
    argv = [*runtime.argv(layout.folder / "tmp"), "kafka.Kafka", str(layout.properties)]
    env = {**runtime.env(), **supervision.marked(service)}
    places = (str(layout.folder), str(layout.log), str(layout.data))
    node = Node(layout.id, layout.endpoint, argv, env, *places, listeners=layout.public, behind=layout.own)
    return networks.with_own_user(node) if layout.network == FILTERED else node


def let_settle(node: Node) -> None:
    """Nodes of Kafka need nothing of one another to start."""


def awaited(cluster: Cluster) -> str:
    """What is still missing until the cluster can be used; empty when it can.

    It can when every broker answers, knows every broker of the lab as registered and not fenced, and has producer ids.
    """
    wanted = {node.id for node in cluster.nodes}
    for node in cluster.nodes:
        host, _, port = node.endpoint.rpartition(":")
        try:
            known = kafka_wire.unfenced_brokers(host, int(port))
            if known != wanted:
                return f"broker {node.id} to see all brokers (it sees {sorted(known)})"
            if not kafka_wire.gives_producer_ids(host, int(port)):
                return f"producer ids of broker {node.id}"
        except (OSError, ValueError) as error:
            return f"an answer of broker {node.id} at {node.endpoint} ({error})"
    return ""


def is_complaint(line: str) -> bool:
    """Whether a line of a node's log tells why it ended."""
    return re.search(r"\b(ERROR|FATAL)\b|Exception|^Error|^Caused by", line) is not None


def addresses(endpoint: str) -> set[str]:
    """The servers that `endpoint` names."""
    return {address.strip() for address in endpoint.split(",")}


def configuration(cluster: Cluster) -> dict[str, str]:
    """What an experiment's configuration is told of the lab."""
    return {ENDPOINT_KEY: cluster.endpoint}


def _require_ports(layouts: list[Layout]) -> None:
    wanted = [port for layout in layouts for port in (*layout.public.values(), *layout.own.values())]
    ports.require_free(wanted, "end that process, or choose another base port (option base_port, --base-port).")


def _settings(settings: Any, reserved: set[str]) -> dict[str, str]:
    if not isinstance(settings, Mapping):
        raise UsageError(f"the option settings, {settings!r}, is not an object.", 'write {"name": value, ...}.')
    owned = sorted(reserved & set(settings))
    if owned:
        raise UsageError(f"the broker setting {owned[0]} is the lab's own.", "leave it out.")
    return {str(name): _text(value) for name, value in sorted(settings.items())}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _format(layout: Layout, cluster_id: str, bootstrap: Path) -> None:
    """Make the data directory as StorageTool does: its bootstrap.checkpoint beside a meta.properties of our own."""
    shutil.rmtree(layout.data, ignore_errors=True)
    layout.data.mkdir(parents=True)
    shutil.copyfile(bootstrap, layout.data / "bootstrap.checkpoint")
    meta = {"version": 1, "cluster.id": cluster_id, "node.id": layout.id, "directory.id": _uuid()}
    _write_properties(layout.data / "meta.properties", meta)


def _write_settings(layout: Layout, voters: str, overrides: Mapping[str, str]) -> None:
    own = {
        "process.roles": "broker,controller",
        "node.id": layout.id,
        "controller.quorum.voters": voters,
        "log.dirs": layout.data,
        **kafka_listeners.settings(layout.public, layout.own),
    }
    _write_properties(layout.properties, {**own, **SETTINGS, **overrides})


def _write_properties(path: Path, values: Mapping[str, object]) -> None:
    """Write a Java properties file: ISO 8859-1, anything beyond ASCII as UTF-16 escapes."""
    escapes = str.maketrans({"\\": r"\\", "\n": r"\n"})
    text = "".join(f"{name}={_text(value).translate(escapes)}\n" for name, value in values.items())
    units = struct.unpack(f">{len(text.encode('utf-16-be')) // 2}H", text.encode("utf-16-be"))
    write_atomic(path, "".join(chr(unit) if unit < 0x80 else f"\\u{unit:04x}" for unit in units).encode("ascii"))


def _uuid() -> str:
    """A random id as Kafka writes it: URL-safe Base64 without padding, and not beginning with a dash."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return _uuid() if text.startswith("-") else text
