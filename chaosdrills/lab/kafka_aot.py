"""The AOT cache of the lab's JVMs: classes loaded and linked ahead of time (JEP 483, 514), for a faster start.

Made once, by training: one broker is started with ``-XX:AOTCacheOutput``, and the JVM writes the cache when it ends.
That keeps both cores busy, so it is never done beside a running lab. The file's name is a digest of all that a cache
depends on (Java, jars, flags), so a stale one is never looked at; its SHA-256 lies beside it, written last. Without a
cache, or with a Java that makes none, the lab starts slower and is otherwise the same.
"""

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.host.files import sync_directory, write_atomic
from chaosdrills.host.locks import held
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.paths import cache_dir
from chaosdrills.host.processes import stop
from chaosdrills.lab import supervision
from chaosdrills.lab.kafka_runtime import FLAGS, Runtime
from chaosdrills.lab.progress import Progress

TRAINING = "kafka-training"
WRITING_TIMEOUT_S = 180.0
# The adapters that JDK 25 stores are refused, with a warning, by a JVM with only its first compiler.
TRAINING_FLAGS = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching")

Train = Callable[[Runtime], Cluster]


def with_cache(runtime: Runtime, train: Train, progress: Progress) -> Runtime:
    """`runtime` with flags that use its AOT cache, made now if it is missing or damaged.

    `train` starts a broker on the runtime it is given and returns once it is ready, its cluster written down as
    `TRAINING`. If no cache can be made, says so and returns `runtime` as it is.
    """
    if not runtime.java.makes_aot_caches:
        return runtime
    path = cache_path(runtime)
    with held(path.with_name("aot.lock"), WRITING_TIMEOUT_S * 2, "making an AOT cache for Kafka"):
        if not is_whole(path):
            if path.exists():
                progress(f"the AOT cache {path} is damaged")
            try:
                _make(path, runtime, train, progress)
            except DrillError as error:
                progress(f"going on without an AOT cache, brokers start slower: {error.message}")
                return runtime
    return replace(runtime, extra=(f"-XX:AOTCache={path}",))


def is_made(runtime: Runtime) -> bool:
    """Whether `with_cache` would have nothing to make."""
    return not runtime.java.makes_aot_caches or is_whole(cache_path(runtime))


def cache_path(runtime: Runtime) -> Path:
    """Where the cache for exactly this Java, these jars and these flags lies."""
    text = "\n".join([runtime.java.path, runtime.java.version, runtime.jars.fingerprint(), *FLAGS])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return cache_dir("kafka", runtime.jars.version) / f"brokers-{key}.aot"


def is_whole(path: Path) -> bool:
    """Whether the cache is there and has the sum that was written beside it."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == _sum_of(path).read_text()
    except FileNotFoundError:
        return False


def _sum_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _make(path: Path, runtime: Runtime, train: Train, progress: Progress) -> None:
    progress("training one broker for the AOT cache (once; up to a minute)")
    for leftover in path.parent.glob(".training-*"):
        leftover.unlink()
    output = path.with_name(f".training-{path.name}")
    try:
        cluster = train(replace(runtime, extra=(*TRAINING_FLAGS, f"-XX:AOTCacheOutput={output}")))
        stop([node.process for node in cluster.nodes if node.process], WRITING_TIMEOUT_S)
    finally:
        supervision.end(TRAINING)
    if not _is_usable(runtime, output):
        raise UnavailableError(f"the JVM wrote none that it can use; see {cluster.nodes[0].log}.")
    _publish(output, path)


def _is_usable(runtime: Runtime, cache: Path) -> bool:
    """Whether a JVM starts with `cache` when it may not start without."""
    argv = [runtime.java.path, *FLAGS, f"-XX:AOTCache={cache}", "-XX:AOTMode=on", "-version"]
    try:
        return subprocess.run(argv, env=runtime.env(), capture_output=True, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _publish(output: Path, path: Path) -> None:
    with open(output, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    _sum_of(path).unlink(missing_ok=True)
    os.replace(output, path)
    sync_directory(path.parent)
    write_atomic(_sum_of(path), digest.encode())
