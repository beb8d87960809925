"""The self-healer as a node of the Redis lab: how it is started, where it is asked, and whether it is there.

No fault hits it, and it has no listener for any of the cluster's nodes.
"""

import shutil
import sys
import urllib.request
from collections.abc import Sequence

from chaosdrills.host.nodes import Cluster, Node, cluster_dir
from chaosdrills.host.paths import state_dir
from chaosdrills.host.sockets import LOOPBACK
from chaosdrills.lab import supervision

KIND = "healer"
NONE, BACKOFF, STORM = POLICIES = ("", "backoff", "storm")
OFFSET = 40
"""How far its port is above the lab's first."""
ANSWER_S = 2.0


def healer_node(service: str, nodes: Sequence[Node], port: int, policy: str, url: str) -> Node:
    """The node, of the number after those of `nodes`; it keeps its attempts in the Redis at `url`."""
    node_id, folder = max(node.id for node in nodes) + 1, cluster_dir(service)
    data, log = folder / f"node-{node_id}", folder / f"node-{node_id}.log"
    shutil.rmtree(data, ignore_errors=True)
    log.unlink(missing_ok=True)
    env = {"REDIS_URL": url, "XDG_STATE_HOME": str(state_dir().parent), **supervision.marked(service)}
    argv = [sys.executable, "-P", "-m", "chaosdrills.lab.healer", str(port), policy]
    return Node(node_id, f"{LOOPBACK}:{port}", argv, env, str(folder), str(log), str(data), kind=KIND)


def url_of(cluster: Cluster) -> str:
    """Where it is asked; empty on a lab that has none."""
    return next((f"http://{node.endpoint}" for node in cluster.nodes if node.kind == KIND), "")


def awaited(cluster: Cluster) -> str:
    """What keeps it from its work, as `chaosdrills.lab.supervision.Awaited`; empty if nothing does."""
    url = url_of(cluster)
    try:
        if url:
            urllib.request.urlopen(f"{url}/metrics", timeout=ANSWER_S).close()
    except OSError as error:
        return f"an answer of the healer ({error})"
    return ""
