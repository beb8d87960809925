"""Starting the processes of a lab so that none of them can be forgotten, and ending all of them.

Three nets: a process is in lab.json as soon as it runs; every process carries `MARKER` with the lab's folder in its
environment, so that even one that nobody could write down is found, and with it what it has started; and while a lab
has an owner, a guard process (`chaosdrills.lab.guard`) waits for the owner's death. PostgreSQL's backends write their
title over their environment: one that is frozen, and so outlives its server, is found by where it works.

In a lab's folder, folders are data and go with the lab; files are logs, settings and locks and stay.
"""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.host import nodes, packet_filter, shared_memory
from chaosdrills.host.network import PROXIED
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.paths import state_dir
from chaosdrills.host.processes import Identity, family_of, identify, is_alive, spawn, stop, wait_until

MARKER = "CHAOSDRILLS_LAB"
TITLE = b"postgres: "
LOCK_TIMEOUT_S = 120.0
LOG_LINES = 8
SWEEPS = 10

Awaited = Callable[[Cluster], str]  # what a cluster still lacks until it can be used; empty when it can
IsComplaint = Callable[[str], bool]  # whether a line of a node's log tells why it ended


def marked(service: str) -> dict[str, str]:
    """The part of a process's environment that says which lab it belongs to."""
    return {MARKER: str(nodes.cluster_dir(service))}


def start(cluster: Cluster, owner: Identity, let_settle: Callable[[Node], None] = lambda node: None) -> None:
    """Start the guard, the proxy if there is to be one, and every node of `cluster`, writing each down at once.

    `let_settle` is called after each node, to wait, bounded, for what the nodes after it need of it.
    """
    cluster.owner = owner
    nodes.save(cluster)
    cluster.guard = _spawn_guard(cluster.service, owner)
    if cluster.network == PROXIED:
        cluster.proxy = _spawn_proxy(cluster.service)
        nodes.save(cluster)
    for node in cluster.nodes:
        node.process = spawn(node.argv, Path(node.log), Path(node.cwd), node.env)
        nodes.save(cluster)
        let_settle(node)


def wait_ready(cluster: Cluster, awaited: Awaited, is_complaint: IsComplaint, timeout_s: float) -> None:
    """Wait until nothing is `awaited` of `cluster` any more.

    Raises `UnavailableError` naming what was awaited after `timeout_s`, or as soon as a node is dead, with the lines
    of its log that `is_complaint` picks.
    """
    waiting = ""

    def ready() -> bool:
        nonlocal waiting
        _require_alive(cluster, is_complaint)
        waiting = awaited(cluster)
        return not waiting

    if not wait_until(ready, timeout_s, 0.05):
        raise UnavailableError(
            f"the {cluster.service} lab did not start in {timeout_s:g} s; it waited for {waiting}.",
            f"look into the logs in {nodes.cluster_dir(cluster.service)}, or give it more time (--timeout-s).",
        )


def disown(cluster: Cluster) -> None:
    """Let a started `cluster` outlive its owner: it has none from now on."""
    guard, cluster.owner, cluster.guard = cluster.guard, None, None
    with nodes.changing(cluster.service):
        nodes.save(cluster)
    if guard is not None:
        stop([guard], grace_s=0)


def end(service: str) -> bool:
    """End every process of `service`'s lab, at once, and remove its data. False if there was neither."""
    with nodes.changing(service):
        known = _is_written_down(service)
        found = _stop_all(service)
        packet_filter.clear(service)
        for path in nodes.cluster_dir(service).iterdir():
            if path.is_dir():
                shared_memory.remove_left(path)
                shutil.rmtree(path, ignore_errors=True)
        nodes.forget(service)
    return known or found


def living(service: str) -> list[Identity]:
    """Every living process of `service`'s lab, written down or not, guard included, but not the one that asks."""
    carrying = [it for it in _carrying(marked(service)) if it.pid != os.getpid()]
    found = family_of([*carrying, *_written_down(service), *_orphans(service)])
    return sorted((it for it in found if it.pid != os.getpid()), key=lambda it: it.pid)


def _stop_all(service: str) -> bool:
    """End every process of the lab, also one that another started while it was being ended. False if there was none."""
    found = False
    for _ in range(SWEEPS):
        processes = living(service)
        if not processes:
            break
        found = True
        stop(processes, grace_s=0)
    return found


def end_of_owner(service: str, owner: Identity) -> bool:
    """End the lab of `service` if it belongs to `owner`. Waits for an up or a down that is under way."""
    with nodes.exclusive(service, LOCK_TIMEOUT_S):
        cluster = nodes.load(service)
        return cluster is not None and cluster.owner == owner and end(service)


def end_orphans() -> list[str]:
    """End all labs whose owner is dead, of any service; returns their names. The guards do that, unless killed too."""
    ended = []
    for folder in sorted(path for path in state_dir("lab").iterdir() if path.is_dir()):
        try:
            cluster = nodes.load(folder.name)
        except DrillError:
            continue
        owner = cluster.owner if cluster else None
        if owner is not None and not is_alive(owner) and end_of_owner(folder.name, owner):
            ended.append(folder.name)
    return ended


def is_proxied(cluster: Cluster) -> bool:
    """Whether the proxy that `cluster` is to have lives; true if it is to have none."""
    return cluster.network != PROXIED or (cluster.proxy is not None and is_alive(cluster.proxy))


def _require_alive(cluster: Cluster, is_complaint: IsComplaint) -> None:
    if not is_proxied(cluster):
        raise UnavailableError(
            f"the proxy of the {cluster.service} lab ended while it started.",
            f"read its log, {_proxy_log(cluster.service)}.",
        )
    for node in cluster.nodes:
        if not node.alive:
            lines = "\n".join(f"    {line}" for line in _complaints(node, is_complaint))
            raise UnavailableError(
                f"node {node.id} of the {cluster.service} lab ended while it started. Its log says:\n{lines}",
                f"correct what it names; the whole log is {node.log}.",
            )


def _complaints(node: Node, is_complaint: IsComplaint) -> list[str]:
    lines = Path(node.log).read_text(errors="replace").splitlines()
    telling = [line for line in lines if is_complaint(line)]
    return (telling or lines)[-LOG_LINES:]


def _spawn_guard(service: str, owner: Identity) -> Identity:
    argv = [sys.executable, "-m", "chaosdrills.lab.guard", service, str(owner.pid), str(owner.start_ticks)]
    log = nodes.cluster_dir(service) / "guard.log"
    log.unlink(missing_ok=True)
    return spawn(argv, log, Path("/"), {**os.environ, **marked(service)})


def _spawn_proxy(service: str) -> Identity:
    argv, log = [sys.executable, "-m", "chaosdrills.lab.proxy", service], _proxy_log(service)
    log.unlink(missing_ok=True)
    return spawn(argv, log, Path("/"), {**os.environ, **marked(service)})


def _proxy_log(service: str) -> Path:
    return nodes.cluster_dir(service) / "proxy.log"


def _is_written_down(service: str) -> bool:
    try:
        return nodes.load(service) is not None
    except DrillError:
        return True


def _written_down(service: str) -> list[Identity]:
    try:
        cluster = nodes.load(service)
    except DrillError:
        return []
    servers = [it for node in cluster.nodes for it in (node.process, node.server)] if cluster else []
    known = [cluster.guard, cluster.proxy, *servers] if cluster else []
    return [process for process in known if process is not None and is_alive(process)]


def _carrying(mark: dict[str, str]) -> list[Identity]:
    """Living processes with exactly this entry in their environment, as far as this user may read it."""
    ((name, value),) = mark.items()
    entry = os.fsencode(f"{name}={value}")
    return _which(lambda process: entry in (process / "environ").read_bytes().split(b"\0"))


def _orphans(service: str) -> list[Identity]:
    """Living backends of PostgreSQL, by their title, that work in a folder of the lab."""
    home = nodes.cluster_dir(service).resolve()

    def is_one(process: Path) -> bool:
        return home in (process / "cwd").readlink().parents and (process / "cmdline").read_bytes().startswith(TITLE)

    return _which(is_one)


def _which(is_meant: Callable[[Path], bool]) -> list[Identity]:
    """The living processes whose folder in /proc `is_meant`; one that vanishes, or may not be looked at, is not."""
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with suppress(OSError):
            if is_meant(Path(f"/proc/{pid}")):
                found.append(identify(pid))
    return [identity for identity in found if identity is not None]
