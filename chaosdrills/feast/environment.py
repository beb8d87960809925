"""An environment of Feast's own: a virtual environment in the cache, made on demand, once per user.

It lies in ``$XDG_CACHE_HOME/chaosdrills/feast/<version>-<Python>-<sum>``, the sum being one of what is asked for; pip
fetches from where it is set up to. It is made in a folder beside it, tried, and takes its name at last: one that was
killed half-way has not got it, and is swept away by the next. A lock keeps two from making it at once. As it has been
moved, its Python is what runs (``python -m``), never its scripts.

`CHAOSDRILLS_FEAST_PYTHON` names the Python of an environment with Feast to use instead.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.files import sync_directory
from chaosdrills.host.locks import held
from chaosdrills.host.paths import cache_dir, cache_path

VERSION = "0.67.0"
WANTED = f"feast[redis]=={VERSION}"
VARIABLE = "CHAOSDRILLS_FEAST_PYTHON"
STAGING = ".making-"
MAKE_S = 1800.0
TRIAL_S = 120.0
TOLD_EVERY = 20  # packages
TRIAL = (
    "import feast, importlib.metadata as it; from feast.infra.online_stores import redis; print(it.version('feast'))"
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Environment:
    """Where Feast can be run: the Python of it, and which Feast that is."""

    python: Path
    version: str

    def argv(self, *words: str) -> list[str]:
        """How its Python is run, with nothing of ours in its way."""
        return [str(self.python), "-I", *words]

    def run(self, words: Sequence[str], folder: Path, timeout_s: float = TRIAL_S) -> subprocess.CompletedProcess[str]:
        """What it says when it is run in this folder. Raises `UnavailableError` if it cannot be, or takes too long."""
        argv = self.argv(*words)
        try:
            return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(
                f"Feast took longer than {timeout_s:g} s.", "run it again when the machine is less busy."
            ) from error
        except OSError as error:
            raise UnavailableError(
                f"{self.python} cannot be run: {error.strerror}.", _remedy(self.python.parent.parent)
            ) from error


def data_file(name: str) -> Path:
    """A file that travels with the package, for Feast's Python."""
    return Path(str(resources.files("chaosdrills"))) / "data" / "feast" / name


def find_environment(progress: Progress) -> Environment:
    """The environment that is there, or is made now. Raises `UnavailableError` if it cannot be made."""
    given = os.environ.get(VARIABLE)
    if given:
        return _given(Path(given))
    root = cache_dir("feast")
    folder = root / _name()
    with held(root / "environment.lock", MAKE_S, "making the environment of Feast"):
        for leftover in root.glob(f"{STAGING}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if not folder.is_dir():
            progress(f"making an environment for Feast {VERSION} (590 MB, once; a few minutes)")
            _make(root, folder, progress)
    found = Environment(_python(folder), VERSION)
    if not os.access(found.python, os.X_OK):
        raise UnavailableError(f"{found.python} cannot be run: it, or what it leads to, is gone.", _remedy(folder))
    return found


def is_made() -> bool:
    """Whether `find_environment` would have nothing to make."""
    return bool(os.environ.get(VARIABLE)) or cache_path("feast", _name()).is_dir()


def complaint(output: str) -> str:
    """The line of an output that says what went wrong: pip's last error, or the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR: ").rstrip(".")


def _given(python: Path) -> Environment:
    words = ["-I", "-c", TRIAL]
    try:
        done = subprocess.run([str(python), *words], capture_output=True, text=True, timeout=TRIAL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else "it does not end"
        raise UsageError(f"{VARIABLE}={python} cannot be run: {why}.", "name a Python, or unset it.") from error
    if done.returncode:
        raise UsageError(
            f"{VARIABLE}={python} has no Feast with Redis: {complaint(done.stderr)}.",
            f"install {WANTED} there, or unset it: an environment is then made.",
        )
    return Environment(python.absolute(), done.stdout.split()[-1])


def _name() -> str:
    """Changes with all that an environment depends on: what is asked for, and the Python that it is made from."""
    base = f"{sys.version}\n{sys.base_prefix}\n{WANTED}\n"
    digest = hashlib.sha256(base.encode() + data_file("constraints.txt").read_bytes()).hexdigest()[:12]
    return f"{VERSION}-{sys.version_info.major}.{sys.version_info.minor}-{digest}"


def _make(root: Path, folder: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=root, ignore_cleanup_errors=True) as name:
        made, log = Path(name) / "made", root / "pip.log"
        log.unlink(missing_ok=True)
        steps = [
            [sys.executable, "-I", "-m", "venv", str(made)],
            [str(_python(made)), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
             "--constraint", str(data_file("constraints.txt")), WANTED],
            [str(_python(made)), "-I", "-c", TRIAL],
        ]  # fmt: skip
        for argv in steps:
            _run(argv, log, progress)
        os.replace(made, folder)
        sync_directory(root)
    progress(f"made it: {folder}")


def _run(argv: list[str], log: Path, progress: Progress) -> None:
    """Run one step, its output in the log. Raises `UnavailableError` with what it said last; ends it in any case."""
    fetched = 0
    with (
        open(log, "a") as file,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as process,
    ):
        assert process.stdout is not None, "it was asked for"
        watch = threading.Timer(MAKE_S, process.kill)
        watch.start()
        try:
            for line in map(_shown, process.stdout):
                file.write(line)
                fetched += line.startswith("Collecting ")
                if line.startswith("Collecting ") and fetched % TOLD_EVERY == 0:
                    progress(f"pip has found {fetched} packages of Feast")
                if line.startswith("Installing collected packages"):
                    progress("pip installs them")
            status = process.wait()
        finally:
            watch.cancel()
            process.kill()
    if status:
        raise UnavailableError(
            f"an environment for Feast cannot be made: {complaint(log.read_text(errors='replace'))}.",
            f"see to what it names (pip's output is in {log}): network, proxy, pip's settings; or set {VARIABLE} to "
            f"the Python of an environment with {WANTED}.",
        )


def _shown(line: bytes) -> str:
    """A line of pip's, without the passwords that URLs of package indexes may hold."""
    return re.sub(r"://[^/@\s]+@", "://", line.decode(errors="replace"))


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _remedy(folder: Path) -> str:
    return f"correct {VARIABLE}." if os.environ.get(VARIABLE) else f"remove the folder {folder}; it is then made anew."
