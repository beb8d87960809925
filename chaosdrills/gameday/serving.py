"""Checks of what the lab's servers need: Java, jars, the AOT cache, ports.

Where `KAFKA_BOOTSTRAP_SERVERS` points drills at a cluster of the user's, the lab is not needed: nothing of it fails.
"""

import os
from collections.abc import Collection
from pathlib import Path

from chaosdrills.errors import DrillError
from chaosdrills.gameday.checkup import Finding, State, lacking
from chaosdrills.host import nodes
from chaosdrills.host.network import PLAIN
from chaosdrills.host.paths import cache_path, state_path
from chaosdrills.host.processes import family_of, is_alive
from chaosdrills.lab import jars as kafka_jars
from chaosdrills.lab import kafka, kafka_aot
from chaosdrills.lab import ports as lab_ports
from chaosdrills.lab.java import find_java
from chaosdrills.lab.kafka_listeners import public_ports
from chaosdrills.lab.kafka_runtime import Runtime
from chaosdrills.lab.progress import quiet
from chaosdrills.lab.status import status

ENDPOINT = "KAFKA_BOOTSTRAP_SERVERS"
PREPARE = "run 'chaos drills lab prepare kafka' once, with a network."


def java() -> Finding:
    """There is a Java that runs brokers."""
    try:
        found = find_java()
    except DrillError as error:
        return _lacking("java", error)
    return Finding("java", "ok", f"{found.release}, {found.path}")


def jars() -> Finding:
    """Kafka's jars are there, and are those of the shipped list."""
    home = os.environ.get("CHAOSDRILLS_KAFKA_HOME")
    try:
        if home:
            return Finding("jars", "ok", f"Kafka {kafka_jars.find_jars(quiet).version} of {home}, not checked")
        if not _libs().is_dir():
            return Finding("jars", "warn", "not fetched yet (45 MB): the first drill does", PREPARE)
        wanted = kafka_jars.wanted_jars()
        kafka_jars.check(_libs(), wanted)
    except DrillError as error:
        return _lacking("jars", error)
    return Finding("jars", "ok", f"{len(wanted)} of Kafka {kafka_jars.VERSION}, all sums right, in {_libs()}")


def aot_cache() -> Finding:
    """The JVMs' cache of loaded classes is there and whole, so that brokers start quickly."""
    name = "aot cache"
    try:
        found = find_java()
        if not found.makes_aot_caches:
            return Finding(name, "warn", f"Java {found.release} makes none: brokers start slower", "use Java 25.")
        paths = _jars()
    except DrillError as error:
        return Finding(name, "warn", "not looked for", error.hint)
    if paths is None:
        return Finding(name, "warn", "made when the jars are there: a minute, once", PREPARE)
    path = kafka_aot.cache_path(Runtime(found, paths, Path()))
    if kafka_aot.is_whole(path):
        return Finding(name, "ok", f"{path}, its sum is right")
    why = "damaged, so it is made anew" if path.exists() else "not made yet"
    return Finding(name, "warn", f"{why}: the next start takes up to a minute more", PREPARE)


def ports(base_port: int = kafka.BASE_PORT) -> Finding:
    """A lab runs, or its ports are free."""
    nodes_ports = [public_ports(PLAIN, base_port + offset) for offset in range(len(kafka.NODES))]
    wanted = [port for public in nodes_ports for port in public.values()]
    return ports_of("ports", kafka.SERVICE, wanted, "warn" if _elsewhere() else "fail")


def ports_of(name: str, service: str, wanted: Collection[int], bad: State) -> Finding:
    """The same for the lab of `service`, whose ports are `wanted`; `bad` is how serious it is if one is taken."""
    try:
        found = status(service) if state_path("lab", service).exists() else {"state": "down"}
    except DrillError as error:
        return Finding(name, bad, error.message.rstrip("."), error.hint)
    if found["state"] == "running":
        return Finding(name, "ok", f"the lab runs at {found['endpoint']}")
    taken = [port for port in sorted(wanted) if not lab_ports.is_free(port) and not _is_ours(service, port)]
    if taken:
        holders = "; ".join(f"{port} by {lab_ports.holder(port)}" for port in taken)
        free = f"end that, or start the lab elsewhere: chaos drills lab up {service} --base-port PORT"
        return Finding(name, bad, f"taken: {holders}", free)
    if found["state"] != "down":
        clear = f"run 'chaos drills heal', or 'chaos drills lab down {service}'."
        return Finding(name, "warn", f"the lab is {found['state']}: the next start clears it away", clear)
    return Finding(name, "ok", f"{min(wanted)} to {max(wanted)} are free for the lab")


def _is_ours(service: str, port: int) -> bool:
    """Whether a node of the written-down lab, which the next start would end, has it, or what it has started."""
    cluster = nodes.load(service) if state_path("lab", service).exists() else None
    processes = [it for node in cluster.nodes for it in (node.process, node.server) if it] if cluster else []
    pids = [process.pid for process in family_of([it for it in processes if is_alive(it)])]
    return any(lab_ports.holder(port).startswith(f"process {pid} ") for pid in pids)


def _jars() -> kafka_jars.Jars | None:
    """The jars as they lie there, unchecked; None if they are not fetched."""
    if os.environ.get("CHAOSDRILLS_KAFKA_HOME"):
        return kafka_jars.find_jars(quiet)
    paths = tuple(sorted(_libs() / jar.path.name for jar in kafka_jars.wanted_jars()))
    return kafka_jars.Jars(kafka_jars.VERSION, paths) if all(path.exists() for path in paths) else None


def _libs() -> Path:
    return cache_path("kafka", kafka_jars.VERSION, "libs")


def _elsewhere() -> bool:
    return bool(os.environ.get(ENDPOINT))


def _lacking(name: str, error: DrillError) -> Finding:
    return lacking(name, error, "warn" if _elsewhere() else "fail")
