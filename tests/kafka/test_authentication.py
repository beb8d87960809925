"""A broker that wants to know who we are, and lets not everybody do everything: one node with SASL/PLAIN and ACLs."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from chaosdrills.errors import DrillError, UsageError
from chaosdrills.host.processes import spawn, stop, wait_until
from chaosdrills.kafka.client import Admin, Connection, KafkaException, Trouble, new_producer
from chaosdrills.lab.kafka_runtime import find_runtime
from chaosdrills.lab.ports import free_pair, is_free
from tests.kafka.conftest import Drill

pytestmark = pytest.mark.lab

LOGIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin-word"'
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
inter.broker.listener.name=SASL_PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login} user_admin="admin-word" user_guest="guest-word";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("broker")
    port = free_pair(100)
    runtime = find_runtime(print)
    (folder / "data").mkdir()
    (folder / "tmp").mkdir()
    shutil.copy(runtime.bootstrap, folder / "data" / "bootstrap.checkpoint")
    meta = "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\ndirectory.id=chaosdrillsAAAAAAAAAAA\n"
    (folder / "data" / "meta.properties").write_text(meta)
    (folder / "server.properties").write_text(
        SETTINGS.format(port=port, controller=port + 100, login=LOGIN, folder=folder)
    )
    argv = [*runtime.argv(folder / "tmp"), "kafka.Kafka", str(folder / "server.properties")]
    broker = spawn(argv, folder / "log", folder, runtime.env())
    try:
        assert wait_until(lambda: not is_free(port), 60), (folder / "log").read_text()[-3000:]
        Admin(Connection(f"127.0.0.1:{port}", properties=login("admin", "admin-word"))).view(30)
        yield f"127.0.0.1:{port}"
    finally:
        stop([broker])


def login(user: str, password: str) -> dict[str, Any]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": user,
        "sasl.password": password,
    }


def start(endpoint: str, folder: Path, user: str, password: str) -> Drill:
    return Drill(
        endpoint,
        folder,
        20,
        replication_factor=1,
        min_insync_replicas=1,
        partitions=2,
        properties=login(user, password),
    )


def test_a_wrong_password_is_one_clear_error(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(DrillError) as caught:
        start(endpoint, tmp_path, "admin", "s3cret-guess")
    assert isinstance(caught.value, UsageError)
    assert caught.value.message.startswith(f"the Kafka brokers at {endpoint} do not accept who we are:")
    assert "Authentication failed" in caught.value.message
    assert "its password" in caught.value.hint
    assert "s3cret" not in str(caught.value) + (tmp_path / "observer.log").read_text()


def test_a_user_without_rights_is_one_clear_error(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(DrillError) as caught:
        start(endpoint, tmp_path, "guest", "guest-word")
    assert isinstance(caught.value, UsageError)
    assert "Kafka does not allow it: the topic chaosdrills-" in caught.value.message
    assert caught.value.hint == "give this user the right to do so."


def test_the_right_password_works_and_is_written_nowhere(endpoint: str, tmp_path: Path) -> None:
    drill = start(endpoint, tmp_path, "admin", "admin-word")
    drill.wait_acked(50)
    assert all(check["ok"] for check in drill.finish()["checks"])
    drill.session.close()
    assert all(b"admin-word" not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_asking_for_a_topic_does_not_make_it(endpoint: str) -> None:
    """This broker makes topics that clients ask for, as Kafka does by default: so a drill's would come back."""
    connection = Connection(endpoint, properties=login("admin", "admin-word"))
    names = ("asked-by-admin", "asked-by-producer", "asked-by-others")
    Admin(connection).view(10, names[0])
    with contextlib.suppress(KafkaException):
        new_producer(connection, Trouble(), {}).list_topics(names[1], timeout=5)
    AdminClient({"bootstrap.servers": endpoint, **login("admin", "admin-word")}).list_topics(names[2], timeout=5)
    assert wait_until(lambda: names[2] in Admin(connection).view(10).topics, 10), "this broker makes no topics"
    assert set(names) & set(Admin(connection).view(10).topics) == {names[2]}
