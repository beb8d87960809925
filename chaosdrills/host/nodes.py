"""Clusters that run on this machine, written down: what each node is, how it is started, which process it is.

The file `$XDG_STATE_HOME/chaosdrills/lab/<service>/lab.json` is the contract between the lab, which starts and stops
clusters, and the faults, which kill and start single nodes of one. Changes are made under a lock, and written before
a process is waited for. Format (version 1)::

    {"version": 1, "service": "kafka", "owner": {"pid": 1, "start_ticks": 2} | null, "endpoint": "127.0.0.1:29092,...",
     "options": {...}, "nodes": [{"id": 1, "endpoint": "127.0.0.1:29092", "argv": [...], "env": {...}, "cwd": "...",
     "log": "...", "data_dir": "...", "process": {"pid": 3, "start_ticks": 4} | null, "stopping": false,
     "listeners": {"client": 29092}, "behind": {"client": 29142}, "uid": 60901 | null, "kind": "", "pid_file": ""}],
     "guard": {"pid": 5, "start_ticks": 6} | null, "network": "plain", "proxy": {"pid": 7, "start_ticks": 8} | null}

`owner` is the process whose death ends the lab, `guard` the one that sees to it; both null for a lab started by
``lab up``. `stopping` (may be missing: false) says that the process was told to end. `network` says how its nodes can
be cut off (`chaosdrills.host.network`); to it belong a node's `listeners`, the ports on which others reach it, the
ports `behind` a proxy where it then really listens, its own user `uid`, and the lab's `proxy`. A file without these is
one of a plain network. `kind` says what a node is where they are not all the same ("postgresql", "etcd"). `pid_file`
is there where the node's process is not the server but starts and watches it (Patroni): the server's own file, in whose
first line its pid stands; without it they are the same process.

Two locks lie beside it: ``lock`` is held for the moment of one change, ``up.lock`` for the whole of an up or a down.
"""

import os
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from chaosdrills.core.kinds import is_of
from chaosdrills.core.strict import loads
from chaosdrills.errors import UnavailableError
from chaosdrills.host.files import write_json
from chaosdrills.host.locks import held
from chaosdrills.host.paths import state_dir
from chaosdrills.host.processes import Identity, identify, is_alive, spawn, stop, uninterrupted

VERSION = 1
CHANGE_S = 30.0


@dataclass
class Node:
    """One server: how to start it, where its data and log are, and which process it is now (None: stopped).

    `stopping`: that process was told to end, and may take a while.
    `listeners` are the TCP ports at which others reach it, by who they are ("client", "replication", "controller");
    `behind` those at which it listens itself where a proxy stands before it. `uid` is its own user, if it has one.
    `kind` tells nodes apart that are not all the same; `pid_file` is the server's, if `process` only watches over it.
    """

    id: int
    endpoint: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    log: str
    data_dir: str
    process: Identity | None = None
    stopping: bool = False
    listeners: dict[str, int] = field(default_factory=dict)
    behind: dict[str, int] = field(default_factory=dict)
    uid: int | None = None
    kind: str = ""
    pid_file: str = ""

    @property
    def alive(self) -> bool:
        """Whether its process lives (a paused one does)."""
        return self.process is not None and is_alive(self.process)

    @property
    def server(self) -> Identity | None:
        """The process that serves clients, if it lives: that of the node, or the one that this watches over."""
        if not self.pid_file:
            return self.process if self.alive else None
        return _in_pid_file(Path(self.pid_file), Path(self.data_dir))


@dataclass
class Cluster:
    """All nodes of one service's lab."""

    service: str
    endpoint: str
    nodes: list[Node]
    owner: Identity | None = None
    options: dict[str, Any] = field(default_factory=dict)
    guard: Identity | None = None
    network: str = "plain"
    proxy: Identity | None = None

    def node(self, node_id: int) -> Node:
        """The node `node_id`. Raises `UnavailableError` naming those there are."""
        for node in self.nodes:
            if node.id == node_id:
                return node
        known = ", ".join(str(node.id) for node in self.nodes)
        raise UnavailableError(f"the {self.service} lab has no node {node_id}.", f"choose one of {known}.")


def cluster_dir(service: str) -> Path:
    """The folder of `service`'s lab: lab.json, and what its servers write."""
    return state_dir("lab", service)


def load(service: str) -> Cluster | None:
    """The written-down cluster of `service`, alive or dead; None if there is none.

    Raises `UnavailableError` if what is written down cannot be understood.
    """
    path = cluster_dir(service) / "lab.json"
    try:
        return _sound(_parse(loads(path.read_bytes())))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError(
            f"the lab's state {path} is damaged, or of another version: {error!r}.",
            f"run 'chaos drills lab down {service}'.",
        ) from error


def _parse(data: dict[str, Any]) -> Cluster:
    if data["version"] != VERSION:
        raise ValueError(f"version {data['version']!r} is not {VERSION}")
    nodes = [Node(**{**node, "process": _identity(node["process"])}) for node in data["nodes"]]
    owner, guard, proxy = _identity(data["owner"]), _identity(data.get("guard")), _identity(data.get("proxy"))
    network = data.get("network", "plain")
    return Cluster(data["service"], data["endpoint"], nodes, owner, data["options"], guard, network, proxy)


def save(cluster: Cluster) -> None:
    """Write `cluster` down. The caller holds `changing` or is its only user."""
    write_json(cluster_dir(cluster.service) / "lab.json", {"version": VERSION, **asdict(cluster)})


def forget(service: str) -> None:
    """Remove the written-down cluster."""
    (cluster_dir(service) / "lab.json").unlink(missing_ok=True)


def changing(service: str, timeout_s: float = CHANGE_S) -> AbstractContextManager[None]:
    """The lock under which a cluster is loaded, changed and saved; waits for another holder, at most `timeout_s`."""
    return held(cluster_dir(service) / "lock", timeout_s, f"changing the {service} lab")


def exclusive(service: str, timeout_s: float) -> AbstractContextManager[None]:
    """The lock under which a whole lab is started or ended; waits for another holder, at most `timeout_s`."""
    return held(cluster_dir(service) / "up.lock", timeout_s, f"starting or ending the {service} lab")


def start_node(service: str, node_id: int) -> bool:
    """Start a stopped node and write its process down. False if it already runs.

    One that was started by a process that was killed before it could write that down is taken for what it is.
    """
    with changing(service):
        cluster = load(service)
        if cluster is None:
            raise UnavailableError(f"there is no {service} lab.", f"run 'chaos drills lab up {service}'.")
        node = cluster.node(node_id)
        if node.alive:
            return False
        with uninterrupted():  # a process that nobody wrote down holds the node's ports for ever
            left = _unwritten(node)
            node.process = spawn(node.argv, Path(node.log), Path(node.cwd), node.env) if left is None else left
            node.stopping = False
            try:
                save(cluster)
            except BaseException:
                stop([node.process])
                raise
        return True


def note_stopping(service: str, process: Identity) -> None:
    """Write down that `process` is about to be told to end; nothing if it is no node of `service`'s lab."""
    with changing(service):
        cluster = load(service)
        node = next((each for each in cluster.nodes if each.process == process), None) if cluster else None
        if cluster is not None and node is not None:
            node.stopping = True
            save(cluster)


def _unwritten(node: Node) -> Identity | None:
    """A living process that is just what a start of `node` makes: its command, its folder, a session of its own.

    What a command begins with (``unshare --user``) is gone once it has become what it runs, and a Redis goes to its
    data.
    """
    homes = [home for home in (node.cwd, node.data_dir) if os.path.isdir(home)]
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with suppress(OSError):
            words = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).rstrip("\0").split("\0")
            is_its = len(words) > 1 and node.argv[-len(words) :] == words
            if is_its and os.getsid(pid) == pid and any(os.path.samefile(f"/proc/{pid}/cwd", home) for home in homes):
                return identify(pid)
    return None


def _in_pid_file(path: Path, data_dir: Path) -> Identity | None:
    """The living process whose pid `path` begins with. A stale file may name another one: a server is at its data."""
    try:
        pid = int(path.read_text().split("\n", 1)[0])
        at_home = Path(f"/proc/{pid}/cwd").resolve(strict=True) == data_dir.resolve(strict=True)
    except (OSError, ValueError):
        return None
    return identify(pid) if at_home else None


def _identity(data: dict[str, int] | None) -> Identity | None:
    return None if data is None else Identity(data["pid"], data["start_ticks"])


def _sound(cluster: Cluster) -> Cluster:
    """`cluster`, every value of which is what its class says: people and crashes change files. Raises `ValueError`."""
    whole: list[Cluster | Node | Identity] = [cluster, *cluster.nodes, *_processes(cluster)]
    for one in whole:
        hints = get_type_hints(type(one))
        for each in fields(one):
            if not is_of(getattr(one, each.name), hints[each.name]):
                raise ValueError(f"its {each.name} is not what that can be")
    return cluster


def _processes(cluster: Cluster) -> list[Identity]:
    held = [value for one in (cluster, *cluster.nodes) for value in vars(one).values()]
    return [value for value in held if isinstance(value, Identity)]
