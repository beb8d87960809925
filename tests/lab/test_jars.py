"""Kafka's jars: fetched whole or not at all, checked at every use, or the user's own.

A repository on loopback, serving the jars of the user's cache, stands for the one that jgo is set up with.
"""

import functools
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import wait_until
from chaosdrills.lab import jars
from chaosdrills.lab.progress import quiet

FETCH = "from chaosdrills.lab.jars import find_jars; find_jars(print)"


class Repository(http.server.ThreadingHTTPServer):
    """Serves jars by their names. Those in `altered` end with another byte; `stuck` makes all wait until `release`."""

    def __init__(self, libs: Path) -> None:
        self.libs, self.altered, self.served = libs, set[str](), 0
        self.release = threading.Event()
        self.release.set()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request to a `Repository`."""

    server: Repository

    def do_GET(self) -> None:
        """Send a jar, or 404 for anything else."""
        path = self.server.libs / self.path.rpartition("/")[2]
        if not path.exists():
            self.send_error(404)
            return
        body = path.read_bytes()
        if path.name in self.server.altered:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.server.release.wait(60)
        self.wfile.write(body[len(body) // 2 :])
        self.server.served += 1

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_jars: jars.Jars) -> Iterator[Repository]:
    """A repository, jgo's configuration that names it, an empty HOME and an empty cache."""
    with Repository(real_jars.paths[0].parent) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        configuration = tmp_path / "jgo.conf"
        configuration.write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}/maven\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(configuration))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "CHAOSDRILLS_KAFKA_HOME"):
            monkeypatch.delenv(name, raising=False)
        (tmp_path / "home").mkdir()
        yield server
        server.release.set()
        server.shutdown()


def cache_of(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "chaosdrills" / "kafka" / jars.VERSION


def test_the_list_names_each_jar_once_with_a_sum() -> None:
    wanted = jars.wanted_jars()
    assert len({jar.path.name for jar in wanted}) == len(wanted) == 46
    assert all(len(jar.sha256) == 64 and set(jar.sha256) <= set("0123456789abcdef") for jar in wanted)
    names = {jar.path.name for jar in wanted}
    assert {f"kafka_2.13-{jars.VERSION}.jar", "slf4j-simple-1.7.36.jar"} <= names


def test_an_empty_cache_is_filled_once_and_nothing_else_is_touched(repository: Repository, tmp_path: Path) -> None:
    lines: list[str] = []
    found = jars.find_jars(lines.append)
    assert [path.name for path in found.paths] == sorted(jar.path.name for jar in jars.wanted_jars())
    assert lines == [f"fetching the 46 jars of Kafka {jars.VERSION} (45 MB, once)"]
    assert jars.find_jars(lines.append) == found
    assert repository.served == len(found.paths)
    assert sorted(path.name for path in cache_of(tmp_path).iterdir()) == ["jars.lock", "libs"]
    assert list((tmp_path / "home").iterdir()) == []


def test_a_jar_that_is_not_the_listed_one_is_refused_and_not_kept(repository: Repository, tmp_path: Path) -> None:
    repository.altered = {"re2j-1.8.jar"}
    with pytest.raises(UnavailableError, match=r"re2j-1\.8\.jar has SHA-256 .*, not "):
        jars.find_jars(quiet)
    assert [path.name for path in cache_of(tmp_path).iterdir()] == ["jars.lock"]


def test_a_jar_that_the_repository_lacks_is_named(repository: Repository) -> None:
    repository.libs = repository.libs / "nothing"
    with pytest.raises(UnavailableError, match=r"cannot fetch .*:.*:") as caught:
        jars.find_jars(quiet)
    assert "CHAOSDRILLS_KAFKA_HOME" in caught.value.hint


def test_after_a_kill_in_the_middle_the_next_run_starts_clean(repository: Repository, tmp_path: Path) -> None:
    root = cache_of(tmp_path)
    repository.release.clear()
    fetching = subprocess.Popen([sys.executable, "-c", FETCH], stdout=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: any(root.glob(".staging-*/repository/**/*.jar")), 30), "no download has begun"
    finally:
        fetching.send_signal(signal.SIGKILL)
        fetching.wait()
    assert not (root / "libs").exists()
    repository.release.set()
    found = jars.find_jars(quiet)
    assert len(found.paths) == 46
    assert sorted(path.name for path in root.iterdir()) == ["jars.lock", "libs"]


def test_two_at_the_same_time_fetch_once(repository: Repository) -> None:
    run = functools.partial(subprocess.Popen, [sys.executable, "-c", FETCH], stdout=subprocess.PIPE, text=True)
    both = [run(), run()]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(map(len, said))[0] == 0
    assert repository.served == 46


def test_a_damaged_jar_is_named(own_cache: Path) -> None:
    jar = own_cache / "libs" / "kafka-clients-4.3.1.jar"
    with open(jar, "r+b") as file:
        file.seek(100_000)
        file.write(b"damage")
    with pytest.raises(UnavailableError, match=r"kafka-clients-4\.3\.1\.jar has SHA-256 ") as caught:
        jars.find_jars(quiet)
    assert str(own_cache / "libs") in caught.value.hint


def test_a_missing_jar_is_named(own_cache: Path) -> None:
    (own_cache / "libs" / "lz4-java-1.10.2.jar").unlink()
    with pytest.raises(UnavailableError, match=r"lz4-java-1\.10\.2\.jar is missing"):
        jars.find_jars(quiet)


def test_an_installation_of_the_users_own_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_jars: jars.Jars
) -> None:
    libs = tmp_path / "kafka" / "libs"
    libs.mkdir(parents=True)
    for path in real_jars.paths:
        os.symlink(path, libs / path.name)
    monkeypatch.setenv("CHAOSDRILLS_KAFKA_HOME", str(tmp_path / "kafka"))
    found = jars.find_jars(quiet)
    assert (found.version, len(found.paths)) == ("4.3.1", 46)
    shutil.rmtree(libs)
    with pytest.raises(UnavailableError, match="has no libs/kafka_2"):
        jars.find_jars(quiet)


def test_the_fingerprint_changes_with_a_jar(own_cache: Path) -> None:
    before = jars.find_jars(quiet)
    first = before.fingerprint()
    assert jars.find_jars(quiet).fingerprint() == first
    os.utime(before.paths[3], (1, 1))
    assert before.fingerprint() != first
