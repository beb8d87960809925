"""Kafka's jars: fetched once per user, checked at every use against the list that travels with the package.

The list, ``data/kafka-jars.sha256``, has one line a jar, ``<sha256>  <path inside a Maven repository>``, and was made
from what jgo resolves for `org.apache.kafka:kafka_2.13:4.3.1` and `org.slf4j:slf4j-simple:1.7.36`; ``sha256sum -c``
reads it. Being complete, it is fetched as it stands: no version is chosen on the user's machine. jgo downloads from
where it is set up to (its config file, proxies and certificates of the environment).

The cache is `$XDG_CACHE_HOME/chaosdrills/kafka/4.3.1/libs`. It appears whole, by a rename, after every sum was right.
`CHAOSDRILLS_KAFKA_HOME` names an installation of Kafka to use instead; its jars are the user's own and not checked.
"""

import hashlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from chaosdrills.errors import UnavailableError
from chaosdrills.host.files import sync_directory
from chaosdrills.host.locks import held
from chaosdrills.host.paths import cache_dir
from chaosdrills.lab.progress import Progress

VERSION = "4.3.1"
STAGING = ".staging-"
DOWNLOADS_AT_ONCE = 6
FETCH_TIMEOUT_S = 900.0
DOWNLOAD_TIMEOUT_S = 20


@dataclass(frozen=True)
class Jars:
    """A Kafka to run: its `version`, and its jars in the order of the class path."""

    version: str
    paths: tuple[Path, ...]

    @property
    def class_path(self) -> str:
        """The jars as java's -cp takes them."""
        return os.pathsep.join(map(str, self.paths))

    def fingerprint(self) -> str:
        """Changes whenever a jar is another one: path, size and time of change, as Java's own AOT cache checks."""
        stats = [(path, path.stat()) for path in self.paths]
        text = "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Wanted:
    """One line of the list: the jar's SHA-256 in hex, and its path inside a Maven repository."""

    sha256: str
    path: PurePosixPath


def wanted_jars() -> list[Wanted]:
    """The shipped list."""
    text = resources.files("chaosdrills").joinpath("data/kafka-jars.sha256").read_text()
    return [Wanted(line[:64], PurePosixPath(line[66:])) for line in text.splitlines()]


def find_jars(progress: Progress) -> Jars:
    """The jars to run, fetched if they are not there yet.

    Raises `UnavailableError` if they cannot be fetched, or naming the jar whose sum is wrong.
    """
    home = os.environ.get("CHAOSDRILLS_KAFKA_HOME")
    if home:
        return _installed(Path(home))
    root = cache_dir("kafka", VERSION)
    libs = root / "libs"
    wanted = wanted_jars()
    with held(root / "jars.lock", FETCH_TIMEOUT_S, "fetching Kafka's jars"):
        _sweep(root)
        if not libs.is_dir():
            progress(f"fetching the {len(wanted)} jars of Kafka {VERSION} (45 MB, once)")
            _fetch(wanted, root, libs)
    check(libs, wanted)
    return Jars(VERSION, tuple(sorted(libs / jar.path.name for jar in wanted)))


def check(libs: Path, wanted: list[Wanted]) -> None:
    """Compare every jar in `libs` with its sum. Raises `UnavailableError` naming the first that differs."""
    for jar in wanted:
        path = libs / jar.path.name
        try:
            with open(path, "rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            actual = "missing"
        if actual != jar.sha256:
            what = "is missing" if actual == "missing" else f"has SHA-256 {actual}, not {jar.sha256}"
            raise UnavailableError(f"the jar {path} {what}.", f"remove the folder {libs}; it is then fetched anew.")


def _installed(home: Path) -> Jars:
    paths = tuple(sorted(home.joinpath("libs").glob("*.jar")))
    servers = [path.stem.partition("-")[2] for path in paths if path.name.startswith("kafka_2.13-")]
    if not servers:
        raise UnavailableError(
            f"CHAOSDRILLS_KAFKA_HOME={home} has no libs/kafka_2.13-*.jar.",
            "set it to the folder of an unpacked Kafka, or unset it to use the lab's own.",
        )
    return Jars(servers[0], paths)


def _sweep(root: Path) -> None:
    """Remove what a fetch that was killed has left."""
    for leftover in root.glob(f"{STAGING}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _fetch(wanted: list[Wanted], root: Path, libs: Path) -> None:
    with _staging(root) as staging:
        repository, ready = staging / "repository", staging / "libs"
        ready.mkdir()
        for jar, path in zip(wanted, _download_all(_maven(repository), wanted), strict=True):
            os.replace(path, ready / jar.path.name)
        check(ready, wanted)
        os.replace(ready, libs)
        sync_directory(root)


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=root) as name:
        yield Path(name)


def _maven(repository: Path) -> Any:
    """jgo's view of the machine's Maven repositories, with a local one of our own."""
    try:
        maven = importlib.import_module("jgo.maven")
        settings = importlib.import_module("jgo.config").GlobalSettings.load()
        constants = importlib.import_module("jgo.constants")
    except ImportError as error:
        raise UnavailableError(
            "cannot fetch Kafka's jars: the package jgo is not installed.",
            "run \"pip install 'chaosdrills[lab]'\", or set CHAOSDRILLS_KAFKA_HOME to the folder of a Kafka.",
        ) from error
    remotes = {"central": constants.MAVEN_CENTRAL_URL, **settings.repositories}
    return maven.MavenContext(repo_cache=repository, remote_repos=remotes, timeout=DOWNLOAD_TIMEOUT_S)


def _download_all(context: Any, wanted: list[Wanted]) -> list[Path]:
    """Several at a time; after the first error, or Ctrl-C, no further one is begun."""
    pool = ThreadPoolExecutor(DOWNLOADS_AT_ONCE)
    try:
        return list(pool.map(lambda jar: _download(context, jar), wanted))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _download(context: Any, jar: Wanted) -> Path:
    group, artifact, version = ".".join(jar.path.parts[:-3]), jar.path.parts[-3], jar.path.parts[-2]
    try:
        path: Path = context.project(group, artifact).at_version(version).artifact().resolve()
    except Exception as error:  # jgo lets errors of requests, urllib3 and its own through
        raise UnavailableError(
            f"cannot fetch {group}:{artifact}:{version}: {error}.",
            "check the network, its proxy and certificates (jgo's config file names other repositories), "
            "or set CHAOSDRILLS_KAFKA_HOME to the folder of a Kafka.",
        ) from error
    return path
