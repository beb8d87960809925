"""The application as a node of the PostgreSQL lab: how it is started, what is made for it, and whether it is well.

It knows no more of the cluster than its DSN, has no listener for any of the cluster's nodes, and no fault hits it.
"""

import shutil
import sys
import urllib.error
import urllib.request
from urllib.parse import quote

from chaosdrills.host.nodes import Cluster, Node, cluster_dir
from chaosdrills.host.sockets import LOOPBACK
from chaosdrills.lab import supervision

KIND = "application"
NODE_ID = 4
OFFSET = 60
"""How far its port is above the lab's first."""
USER = SCHEMA = "staging"
PASSFILE = "pgpass-application"
HEALTH_S = 2.0


def application_node(service: str, base_port: int, endpoint: str, database: str) -> Node:
    """The node, which connects to the servers at `endpoint`, by the passwords in the lab's `PASSFILE`."""
    folder, port = cluster_dir(service), base_port + OFFSET
    data, log = folder / f"node-{NODE_ID}", folder / f"node-{NODE_ID}.log"
    shutil.rmtree(data, ignore_errors=True)
    log.unlink(missing_ok=True)
    passfile = quote(str(folder / "secrets" / PASSFILE), safe="/")
    env = {"DATABASE_URL": f"postgresql://{USER}@{endpoint}/{database}?passfile={passfile}"}
    argv = [sys.executable, "-P", "-m", "chaosdrills.lab.application", str(port)]
    env |= supervision.marked(service)
    return Node(NODE_ID, f"{LOOPBACK}:{port}", argv, env, str(folder), str(log), str(data), kind=KIND)


def setup(password: str) -> list[str]:
    """The lines of SQL that make what is its own in the database that psql is connected to."""
    return [
        f"CREATE ROLE {USER} LOGIN PASSWORD '{password}';",
        f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {USER};",
        f"SET ROLE {USER};",
        f"CREATE TABLE {SCHEMA}.note (",
        "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,",
        "  written_at timestamptz NOT NULL DEFAULT now(),",
        "  text text NOT NULL);",
    ]


def health_url(cluster: Cluster) -> str:
    """Where it says how it is; empty on a lab that has none."""
    return next((f"http://{node.endpoint}/health" for node in cluster.nodes if node.kind == KIND), "")


def awaited(cluster: Cluster) -> str:
    """What keeps it from its work, as `chaosdrills.lab.supervision.Awaited`; empty if nothing does."""
    url = health_url(cluster)
    try:
        if url:
            urllib.request.urlopen(url, timeout=HEALTH_S).close()
    except urllib.error.HTTPError as error:
        with error:
            return f"the application to be well ({error.read().decode(errors='replace').strip()})"
    except (OSError, ValueError) as error:
        return f"an answer of the application ({error})"
    return ""
