"""A lab of processes that only wait: what is true of any lab is tested on it in no time."""

import sys

from chaosdrills.host.nodes import Cluster, Node, cluster_dir
from chaosdrills.lab import supervision

WAITING = "import signal; print('started', flush=True); signal.pause()"


def toy_cluster(count: int = 2, program: str = WAITING) -> Cluster:
    """A cluster for the service "toy", laid out and not started."""
    folder, nodes = cluster_dir("toy"), []
    for node_id in range(1, count + 1):
        data = folder / f"node-{node_id}"
        data.mkdir()
        (data / "file").write_text("data")
        argv = [sys.executable, "-c", program]
        env = supervision.marked("toy")
        log = str(folder / f"node-{node_id}.log")
        nodes.append(Node(node_id, f"127.0.0.1:{node_id}", argv, env, str(folder), log, str(data)))
    return Cluster("toy", "127.0.0.1:1", nodes)
