"""The AOT cache: trained on a real broker, never stale, never in the way."""

from dataclasses import replace
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.lab import kafka, kafka_aot, supervision
from chaosdrills.lab.kafka_runtime import Runtime, find_runtime
from chaosdrills.lab.progress import quiet


def refuse(_: Runtime) -> Cluster:
    """A training that fails."""
    raise UnavailableError("the broker would not start.")


def forbid(_: Runtime) -> Cluster:
    """A training that must not be needed."""
    raise AssertionError("trained again")


def test_training_makes_a_cache_that_is_used_until_it_is_damaged(own_cache: Path, own_state: Path) -> None:
    runtime, lines = find_runtime(quiet), list[str]()
    assert not kafka_aot.is_made(runtime)

    kafka.prepare(lines.append)
    path = kafka_aot.cache_path(runtime)
    assert lines == ["training one broker for the AOT cache (once; up to a minute)"]
    assert kafka_aot.is_made(runtime)
    assert path.stat().st_size > 20_000_000
    assert not list(own_cache.glob(".training*"))
    assert supervision.living(kafka_aot.TRAINING) == []

    assert kafka_aot.with_cache(runtime, forbid, lines.append).extra == (f"-XX:AOTCache={path}",)

    with open(path, "r+b") as file:
        file.seek(10_000_000)
        file.write(b"damage")
    del lines[:]
    assert kafka_aot.with_cache(runtime, refuse, lines.append) == runtime
    assert lines == [
        f"the AOT cache {path} is damaged",
        "training one broker for the AOT cache (once; up to a minute)",
        "going on without an AOT cache, brokers start slower: the broker would not start.",
    ]


def test_what_the_jvm_cannot_use_is_never_published(own_cache: Path, own_state: Path) -> None:
    def garbage(runtime: Runtime) -> Cluster:
        Path(runtime.extra[-1].partition("=")[2]).write_bytes(b"garbage" * 1000)
        return Cluster(kafka_aot.TRAINING, "", [Node(1, "", [], {}, "", "the log", "")])

    runtime, lines = find_runtime(quiet), list[str]()
    assert kafka_aot.with_cache(runtime, garbage, lines.append) == runtime
    assert lines[-1].endswith("brokers start slower: the JVM wrote none that it can use; see the log.")
    assert not kafka_aot.cache_path(runtime).exists()


def test_a_cache_of_another_java_other_jars_or_other_flags_is_never_looked_at(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = find_runtime(quiet)
    paths = {kafka_aot.cache_path(runtime)}
    assert kafka_aot.cache_path(runtime) in paths

    paths.add(kafka_aot.cache_path(replace(runtime, java=replace(runtime.java, version="26"))))
    with open(own_cache / "libs" / "re2j-1.8.jar", "ab") as file:
        file.write(b" ")
    paths.add(kafka_aot.cache_path(runtime))
    monkeypatch.setattr(kafka_aot, "FLAGS", ("-Xmx1g",))
    paths.add(kafka_aot.cache_path(runtime))
    assert len(paths) == 4


def test_a_java_that_makes_no_caches_goes_without(own_cache: Path) -> None:
    runtime = find_runtime(quiet)
    old = replace(runtime, java=replace(runtime.java, release=21))
    assert kafka_aot.with_cache(old, forbid, quiet) == old
    assert kafka_aot.is_made(old)
