"""What every Kafka node of the lab runs on: a Java, the jars, the formatted metadata, and the flags of the JVM."""

import hashlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chaosdrills.errors import UnavailableError
from chaosdrills.host.files import write_atomic
from chaosdrills.host.paths import cache_dir
from chaosdrills.lab.jars import Jars, find_jars
from chaosdrills.lab.java import Java, find_java
from chaosdrills.lab.progress import Progress

FLAGS = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
LOGGING = (
    "-Dlog4j2.level=INFO",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
)
FORMAT_TIMEOUT_S = 60


@dataclass(frozen=True)
class Runtime:
    """How a node is run: its Java and jars, StorageTool's bootstrap.checkpoint, and more JVM flags."""

    java: Java
    jars: Jars
    bootstrap: Path
    extra: tuple[str, ...] = ()

    def argv(self, temporary: Path) -> list[str]:
        """The command up to the main class; the JVM's own temporary files go to `temporary`."""
        return [self.java.path, *FLAGS, *self.extra, *LOGGING, f"-Djava.io.tmpdir={temporary}"]

    def env(self) -> dict[str, str]:
        """All of a node's environment: nothing of the user's goes in, so nothing of it is written down."""
        return {"CLASSPATH": self.jars.class_path, "LC_ALL": "C.UTF-8"}


def find_runtime(progress: Progress) -> Runtime:
    """The runtime, made as far as it is missing. Raises `UnavailableError`."""
    java, jars = find_java(), find_jars(progress)
    return Runtime(java, jars, _bootstrap(java, jars))


def _bootstrap(java: Java, jars: Jars) -> Path:
    """StorageTool's bootstrap.checkpoint (metadata version and features), made once for these jars."""
    key = hashlib.sha256(jars.fingerprint().encode()).hexdigest()[:16]
    path = cache_dir("kafka", jars.version) / f"bootstrap-{key}.checkpoint"
    if not path.exists():
        with tempfile.TemporaryDirectory(prefix="chaosdrills-") as folder:
            write_atomic(path, _run_storage_tool(java, jars, Path(folder)))
    return path


def _run_storage_tool(java: Java, jars: Jars, folder: Path) -> bytes:
    settings = folder / "format.properties"
    settings.write_text(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n"
        "listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1\ncontroller.listener.names=CONTROLLER\n"
        f"log.dirs={folder}/data\n"
    )
    argv = [java.path, *FLAGS, "-cp", jars.class_path, "kafka.tools.StorageTool", "format"]
    done = subprocess.run(
        [*argv, "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(settings)],
        capture_output=True, text=True, errors="replace", timeout=FORMAT_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode != 0:
        raise UnavailableError(
            f"Kafka's StorageTool failed with status {done.returncode}: {_last_line(done.stderr)}",
            "check CHAOSDRILLS_KAFKA_HOME and CHAOSDRILLS_JAVA; they must belong together.",
        )
    return (folder / "data" / "bootstrap.checkpoint").read_bytes()


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing."
