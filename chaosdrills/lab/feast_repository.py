"""The lab's Feast repository: two entities, two views, their sources and a registry, made once and copied for each lab.

`feast apply` makes the registry, in Feast's own environment (`chaosdrills.feast.environment`). What is made lies in the
cache, ``feast/repository-<sum>``, and takes that name when it is whole; the sum is one of all that it is made from and
of the Feast that makes it. The view `STATS` holds ten drivers, the view ``drill_rows`` the rows that drills write.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from chaosdrills.errors import UnavailableError
from chaosdrills.feast.environment import Environment, complaint, data_file
from chaosdrills.feast.settings import FILE, SENTINEL, SINGLE
from chaosdrills.host.files import sync_directory
from chaosdrills.host.locks import held
from chaosdrills.host.paths import cache_dir
from chaosdrills.lab.progress import Progress

PROJECT = "chaosdrills"
STATS, DRIVER, TRIPS, FIRST_DRIVER, ITS_TRIPS = "driver_stats", "driver_id", "trips", 1001, 100
STAGING = ".applying-"
SOURCES, DEFINITIONS = "make_sources.py", "repository/features.py"
MAKE_S = 300.0


def prepared(environment: Environment, progress: Progress) -> Path:
    """The folder of the repository, made if it is not there yet. Raises `UnavailableError` if that fails."""
    root = cache_dir("feast")
    folder = root / f"repository-{_sum(environment)}"
    with held(root / "repository.lock", MAKE_S, "making the lab's Feast repository"):
        for leftover in root.glob(f"{STAGING}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if not folder.is_dir():
            progress("applying the lab's Feast repository (once)")
            _make(root, folder, environment)
    return folder


def is_prepared(environment: Environment) -> bool:
    """Whether `prepared` would have nothing to make."""
    return (cache_dir("feast") / f"repository-{_sum(environment)}").is_dir()


def lay_out(environment: Environment, folder: Path, settings: str, progress: Progress) -> None:
    """A repository in `folder`, which is made anew, with these settings; only its owner may read it."""
    source = prepared(environment, progress)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for path in source.iterdir():
        shutil.copy(path, folder)
    (folder / FILE).write_text(settings)


def settings_of(connection_string: str, master: str = "") -> str:
    """What stands in its ``feature_store.yaml``: one server, or by Sentinel if there is a `master`."""
    through = f"\n  sentinel_master: {master}" if master else ""
    return f"""\
project: {PROJECT}
provider: local
registry: registry.db
offline_store:
  type: file
online_store:
  type: redis
  redis_type: {SENTINEL if master else SINGLE}{through}
  connection_string: "{connection_string}"
entity_key_serialization_version: 3
"""


def _make(root: Path, folder: Path, environment: Environment) -> None:
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=root, ignore_cleanup_errors=True) as name:
        made = Path(name) / "made"
        made.mkdir()
        shutil.copy(data_file(DEFINITIONS), made)
        (made / FILE).write_text(settings_of("127.0.0.1:6379"))  # applying it connects to nothing
        for words in ([str(data_file(SOURCES))], ["-m", "feast.cli.cli", "apply"]):
            done = environment.run(words, made)
            if done.returncode:
                raise UnavailableError(
                    f"Feast cannot apply the lab's repository: {complaint(done.stderr or done.stdout)}.",
                    f"see what {environment.python} lacks.",
                )
        shutil.rmtree(made / "__pycache__", ignore_errors=True)
        os.replace(made, folder)
        sync_directory(root)


def _sum(environment: Environment) -> str:
    made_from = b"".join(data_file(name).read_bytes() for name in (SOURCES, DEFINITIONS))
    return hashlib.sha256(f"{environment.python} {environment.version}\n".encode() + made_from).hexdigest()[:12]
