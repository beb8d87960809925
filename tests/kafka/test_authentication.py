"""A broker that wants to know who we are, and lets not everybody do everything: one node with SASL/PLAIN and ACLs."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import ActivityFailed
from confluent_kafka import admin
from confluent_kafka.admin import AdminClient

from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import DrillError, UsageError
from chaosdrills.host.processes import spawn, stop, wait_until
from chaosdrills.kafka import probes, quorum
from chaosdrills.kafka.client import Admin, Connection, KafkaException, Trouble, new_producer
from chaosdrills.lab.kafka_runtime import find_runtime
from chaosdrills.lab.ports import free_pair, is_free
from tests.kafka.conftest import Drill

pytestmark = pytest.mark.lab

LOGIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin-word"'
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=SASL_PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{sasl_ssl},SSL://127.0.0.1:{ssl},CONTROLLER://127.0.0.1:{controller}
inter.broker.listener.name=SASL_PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login} user_admin="admin-word" user_guest="guest-word";
listener.name.sasl_ssl.plain.sasl.jaas.config={login} user_admin="admin-word" user_guest="guest-word";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config={scram}
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={scram}
ssl.keystore.type=PKCS12
ssl.keystore.location={folder}/keys
ssl.keystore.password=changeit
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:drill;User:ANONYMOUS
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


class Broker:
    """A node that wants to know who we are: the addresses of its listeners, and the certificate that vouches for it."""

    def __init__(self, folder: Path, controller: int, plain: int, sasl_ssl: int, ssl: int) -> None:
        self.controller, self.plain, self.sasl_ssl, self.ssl = controller, plain, sasl_ssl, ssl
        self.certificate = folder / "certificate.pem"

    def at(self, port: int, properties: dict[str, Any]) -> dict[str, Any]:
        """The configuration of an experiment that talks to one of its listeners."""
        return {"kafka_bootstrap_servers": f"127.0.0.1:{port}", "kafka_properties": properties}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("broker")
    port = free_pair(100)
    more = (free for free in range(32000, 32700) if is_free(free))
    made = Broker(folder, port + 100, port, next(more), next(more))
    runtime = find_runtime(print)
    make_keys(Path(runtime.java.path).with_name("keytool"), folder / "keys", made.certificate)
    (folder / "data").mkdir()
    (folder / "tmp").mkdir()
    shutil.copy(runtime.bootstrap, folder / "data" / "bootstrap.checkpoint")
    meta = "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\ndirectory.id=chaosdrillsAAAAAAAAAAA\n"
    (folder / "data" / "meta.properties").write_text(meta)
    ports = {"port": made.plain, "controller": made.controller, "sasl_ssl": made.sasl_ssl, "ssl": made.ssl}
    (folder / "server.properties").write_text(SETTINGS.format(login=LOGIN, scram=SCRAM, folder=folder, **ports))
    argv = [*runtime.argv(folder / "tmp"), "kafka.Kafka", str(folder / "server.properties")]
    process = spawn(argv, folder / "log", folder, runtime.env())
    try:
        assert wait_until(lambda: not is_free(port), 60), (folder / "log").read_text()[-3000:]
        Admin(Connection(f"127.0.0.1:{port}", properties=login("admin", "admin-word"))).view(30)
        yield made
    finally:
        stop([process])


@pytest.fixture
def endpoint(broker: Broker) -> str:
    """Where it takes a password and nothing is hidden."""
    return f"127.0.0.1:{broker.plain}"


def make_keys(keytool: Path, keys: Path, certificate: Path) -> None:
    """A key pair for 127.0.0.1 and the certificate that it signs itself."""
    store = ["-alias", "broker", "-storetype", "PKCS12", "-keystore", str(keys), "-storepass", "changeit"]
    about = ["-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=broker", "-ext", "SAN=ip:127.0.0.1"]
    subprocess.run([keytool, "-genkeypair", *store, *about], check=True, capture_output=True, timeout=60)
    done = subprocess.run([keytool, "-exportcert", "-rfc", *store], check=True, capture_output=True, timeout=60)
    certificate.write_bytes(done.stdout)


def login(user: str, password: str) -> dict[str, Any]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": user,
        "sasl.password": password,
    }


def start(endpoint: str, folder: Path, user: str, password: str, **more: Any) -> Drill:
    return Drill(
        endpoint,
        folder,
        20,
        replication_factor=1,
        min_insync_replicas=1,
        partitions=2,
        properties=login(user, password),
        **more,
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


WRONG = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "admin"}


@pytest.mark.parametrize(
    "name",
    ["active_controller", "brokers", "cluster_health", "under_replicated", "under_min_isr", "offline_partitions"],
)
def test_probes_with_a_wrong_password_fail_and_do_not_show_it(broker: Broker, name: str) -> None:
    with pytest.raises(ActivityFailed) as caught:
        getattr(probes, name)(
            configuration=broker.at(broker.plain, WRONG), secrets={"sasl.password": "s3cret-guess"}, timeout_s=5
        )
    assert "do not accept who we are" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_user_who_may_not_describe_the_cluster(broker: Broker) -> None:
    kinds: Any = admin
    guest = broker.at(broker.plain, login("guest", "guest-word"))
    with pytest.raises(ActivityFailed, match="Kafka does not allow it: the metadata quorum cannot be looked at"):
        probes.active_controller(5, configuration=guest)
    with pytest.raises(ActivityFailed, match="give this user the right to describe the cluster"):
        probes.cluster_health(configuration=guest)
    assert "controller" not in probes.cluster_health(controller=False, configuration=guest)
    assert probes.brokers(configuration=guest) == {"brokers": 1, "ids": "1"}
    name = "readable"
    client = as_admin(broker)
    client.create_topics([kinds.NewTopic(name, 1, 1)])[name].result(timeout=20)
    allow(broker, "guest", kinds.ResourceType.TOPIC, name, kinds.AclOperation.DESCRIBE)
    assert wait_until(lambda: sees(guest, name), 20), "the ACL does not hold"
    with pytest.raises(ActivityFailed, match="Kafka does not allow it: the offsets of the group g cannot be read"):
        probes.consumer_lag("g", name, configuration=guest)


def test_the_active_controller_is_found_with_every_kind_of_login(broker: Broker) -> None:
    add_scram_user(broker, "drill", "drill-word")
    trusted = {"ssl.ca.location": str(broker.certificate)}
    plain = login("admin", "admin-word")
    scram = {**plain, "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "drill", "sasl.password": "drill-word"}
    ways = [
        (broker.plain, plain),
        (broker.plain, {**plain, "security.protocol": "sasl_plaintext"}),
        (broker.plain, scram),
        (broker.sasl_ssl, {**plain, **trusted, "security.protocol": "SASL_SSL"}),
        (broker.sasl_ssl, {**scram, **trusted, "security.protocol": "SASL_SSL"}),
        (broker.ssl, {**trusted, "security.protocol": "SSL"}),
        (broker.ssl, {"security.protocol": "SSL", "enable.ssl.certificate.verification": "false"}),
    ]
    for port, properties in ways:
        assert probes.active_controller(20, configuration=broker.at(port, properties)) == {"controller": 1}, properties


def test_a_certificate_that_nobody_vouches_for_is_refused(broker: Broker) -> None:
    with pytest.raises(ActivityFailed, match=r"do not accept who we are: .*certificate"):
        probes.active_controller(5, configuration=broker.at(broker.ssl, {"security.protocol": "SSL"}))


@pytest.mark.parametrize(
    ("properties", "error"),
    [
        ({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER"}, "the SASL mechanism OAUTHBEARER"),
        ({"security.protocol": "SASL_PLAINTEXT"}, "the SASL mechanism GSSAPI"),
        ({"security.protocol": "QUIC"}, "security.protocol is 'QUIC'"),
        ({"security.protocol": "SSL", "ssl.keystore.location": "/k"}, "the property ssl.keystore.location"),
        ({"security.protocol": "SSL", "ssl.ca.location": "/missing"}, "the certificates cannot be read: No such file"),
    ],
)
def test_what_kafka_python_cannot_do_is_refused_by_name(properties: dict[str, Any], error: str) -> None:
    with pytest.raises(UsageError, match=error):
        quorum.settings_of(Connection("127.0.0.1:1", properties=properties))


def as_admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": f"127.0.0.1:{broker.plain}", **login("admin", "admin-word")})


def add_scram_user(broker: Broker, user: str, password: str) -> None:
    kinds: Any = admin
    info = kinds.ScramCredentialInfo(kinds.ScramMechanism.SCRAM_SHA_256, 4096)
    upsertion = kinds.UserScramCredentialUpsertion(user, info, password.encode())
    client = as_admin(broker)
    for future in client.alter_user_scram_credentials([upsertion]).values():
        future.result(timeout=20)


def allow(broker: Broker, user: str, kind: Any, name: str, operation: Any, permission: str = "ALLOW") -> None:
    """Give a user a right, or take it with ``DENY``. `name` is a prefix."""
    kinds: Any = admin
    pattern = kinds.ResourcePatternType.PREFIXED
    permitted = getattr(kinds.AclPermissionType, permission)
    binding = kinds.AclBinding(kind, name, pattern, f"User:{user}", "*", operation, permitted)
    client = as_admin(broker)
    for future in client.create_acls([binding]).values():
        future.result(timeout=20)


def sees(configuration: dict[str, Any], topic: str) -> bool:
    connection = Connection(configuration["kafka_bootstrap_servers"], properties=configuration["kafka_properties"])
    return topic in Admin(connection).view(10).topics


def test_a_consumer_that_ends_by_itself_is_the_readers_fault_and_no_stale_data(
    broker: Broker, endpoint: str, tmp_path: Path
) -> None:
    kinds: Any = admin
    allow(broker, "guest", kinds.ResourceType.TOPIC, "chaosdrills-", kinds.AclOperation.ALL)
    with pytest.raises(UsageError, match="Group authorization failed"):
        start(endpoint, tmp_path, "guest", "guest-word", consumers=1)
    allow(broker, "guest", kinds.ResourceType.GROUP, "chaosdrills-", kinds.AclOperation.ALL)
    drill = start(endpoint, tmp_path, "guest", "guest-word", consumers=1, session_timeout_s=6)
    drill.wait_acked(300)
    drill.session.mark("fault_begin", "the group's rights are taken away")
    allow(broker, "guest", kinds.ResourceType.GROUP, "chaosdrills-", kinds.AclOperation.ALL, "DENY")
    drill.session.mark("fault_end")
    assert wait_until(lambda: drill.session.snapshot()["age_s"] > 8, 60), drill.session.snapshot()
    result = drill.finish()
    checks = {check["name"]: check for check in result["checks"]}
    assert not checks["consumers"]["ok"]
    assert checks["consumers"]["detail"].startswith("consumer 1 ended by itself: Kafka does not take a consumer of the")
    assert result["findings"]["consumers_lost"] == 0
    judged = judge(drill.history, Limits(rto_s=60, fresh=True), Parameters(baseline_s=2, stable_s=1, fresh_s=3))
    assert judged.freshness.why == "the reader of stream 0 was silent for over 3 s"
    assert judged.rto.verdict == "unknown"
    drill.session.close()
