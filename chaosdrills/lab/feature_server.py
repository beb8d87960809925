"""Feast's feature server as a node of the Redis lab: how it is started, and whether features are served.

It serves the lab's repository (`chaosdrills.lab.feast_repository`) in a copy of its own, reaches the servers through
Sentinel, has no listener for any of the lab's other nodes, and no fault hits it. It is well if a feature is
served: its own health page says 200 while its Redis is dead.
"""

import json
import urllib.request

from chaosdrills.feast.environment import data_file, find_environment
from chaosdrills.host.nodes import Cluster, Node, cluster_dir
from chaosdrills.host.sockets import LOOPBACK
from chaosdrills.lab import feast_repository, supervision
from chaosdrills.lab.feast_repository import DRIVER, FIRST_DRIVER, ITS_TRIPS, STATS, TRIPS
from chaosdrills.lab.progress import Progress

KIND = "feature-server"
NODE_ID = 8
OFFSET = 60
"""How far its port is above the lab's first."""
PATH = "/get-online-features"
REQUEST = {"features": [f"{STATS}:{TRIPS}"], "entities": {DRIVER: [FIRST_DRIVER]}}
ASK_S = 2.0
NEVER = "1970-"


def prepare(progress: Progress) -> None:
    """Make what it needs and is not there yet, and say which Feast that is."""
    environment = find_environment(progress)
    feast_repository.prepared(environment, progress)
    progress(f"Feast {environment.version}, {environment.python}")


def feature_server_node(service: str, base_port: int, settings: str, progress: Progress) -> Node:
    """The node, whose repository has these settings (`feast_repository.settings_of`)."""
    folder, port = cluster_dir(service), base_port + OFFSET
    data, log = folder / f"node-{NODE_ID}", folder / f"node-{NODE_ID}.log"
    environment = find_environment(progress)
    feast_repository.lay_out(environment, data, settings, progress)
    log.unlink(missing_ok=True)
    temporary = data / "tmp"  # Feast leaves a folder there whenever it is killed; this one goes with the lab
    temporary.mkdir()
    argv = environment.argv(str(data_file("serve.py")), str(port))
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": str(temporary), **supervision.marked(service)}
    return Node(NODE_ID, f"{LOOPBACK}:{port}", argv, env, str(data), str(log), str(data), kind=KIND)


def ports_of(base_port: int, wanted: bool) -> list[int]:
    """Its port, if the lab is to have it."""
    return [base_port + OFFSET] if wanted else []


def configuration(cluster: Cluster) -> dict[str, str]:
    """What an experiment is told of it: where features are asked for, and the repository's folder. Nothing without."""
    found = [node for node in cluster.nodes if node.kind == KIND]
    return {
        name: value
        for node in found
        for name, value in (("feast_url", f"http://{node.endpoint}{PATH}"), ("feast_repository", node.data_dir))
    }


def awaited(cluster: Cluster) -> str:
    """What keeps it from its work, as `chaosdrills.lab.supervision.Awaited`; empty if nothing does."""
    url = configuration(cluster).get("feast_url")
    if url is None:
        return ""
    body = json.dumps(REQUEST).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ASK_S) as answer:
            return why_not(answer.read())
    except (OSError, ValueError) as error:
        return f"an answer of the feature server ({error})"


def why_not(answer: bytes) -> str:
    """Why an answer to `REQUEST` serves no feature; empty if it does."""
    try:
        found = json.loads(answer)["results"][1]  # first the entity itself
        value, at = found["values"][0], found["event_timestamps"][0]
    except (ValueError, LookupError, TypeError):
        return "an answer of the feature server that has features"
    served = value == ITS_TRIPS and not at.startswith(NEVER)
    return "" if served else f"a feature to be served ({STATS}:{TRIPS} of {FIRST_DRIVER} is {value}, of {at})"
