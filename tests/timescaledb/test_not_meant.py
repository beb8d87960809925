"""What is not meant is not hit: etcd called by its id, and another cluster, whose Patroni the experiment names."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.faults import marking
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.nodes import Cluster
from chaosdrills.timescaledb import actions, preview
from chaosdrills.timescaledb.roles import ETCD
from chaosdrills.timescaledb.way import way_of
from tests.timescaledb.servers import settings

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def nothing_done() -> Iterator[None]:
    """Afterwards nothing was marked, and nothing is to be healed."""
    marks: list[tuple[object, ...]] = []
    marking.set_marker(lambda *mark: marks.append(mark))
    yield
    marking.set_marker(None)
    assert (marks, outstanding()) == ([], ([], []))


def test_etcd_has_no_disk_to_lose_and_no_postmaster_by_its_id_either(timescaledb_lab: Cluster) -> None:
    (etcd,) = [node for node in timescaledb_lab.nodes if node.kind == ETCD]
    for given in ({"role": "etcd"}, {"role": "id", "node_id": etcd.id}):
        with pytest.raises(ActivityFailed, match="only etcd would forget its cluster"):
            actions.lose_disk(**given, configuration=settings(timescaledb_lab))
        with pytest.raises(ActivityFailed, match="can hit the postmaster alone"):
            actions.kill_node(**given, what="postmaster", configuration=settings(timescaledb_lab))
    assert etcd.alive
    assert Path(etcd.data_dir).is_dir()


class AnotherPatroni(BaseHTTPRequestHandler):
    """Sees to a cluster that is not the lab."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"database_system_identifier": "7000000000000000001", "state": "running"}')

    def log_message(self, format: str, *arguments: object) -> None:
        """It is silent."""


def test_another_clusters_patroni_is_asked_for_nothing(timescaledb_lab: Cluster) -> None:
    """The other one would be switched over, and this one found to have recovered in no time."""
    with HTTPServer(("127.0.0.1", 0), AnotherPatroni) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        configured = settings(timescaledb_lab, timescaledb_patroni=f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(ActivityFailed, match="leads to another cluster than the DSN: nothing was done"):
            actions.switch_over(configuration=configured)
        way = way_of(configured, {})
        refused = preview.foresee("switch_over", {"candidate": ""}, {}, way, to_come=False)["refused"]
        server.shutdown()
    assert "another cluster" in str(refused)
