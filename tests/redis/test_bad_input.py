"""What cannot be used, or gets in a drill's way, on real servers: one clear error each with its next step.

No secret is shown, and no key of the user's is touched.
"""

import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.errors import DrillError, UnavailableError, UsageError
from chaosdrills.host.processes import wait_until
from chaosdrills.lab.ports import free_pair
from chaosdrills.redis import probes
from chaosdrills.redis.finding import PRIMARY
from chaosdrills.redis.overview import Server, parsed
from chaosdrills.redis.way import way_of
from chaosdrills.redis.workload import RedisWorkload
from tests.redis.servers import Process, Start, program

pytestmark = pytest.mark.lab

SECRET = "hunter2"
WRONG = "hunter3"


def refused(url: str, kind: type[DrillError], why: str, hint: str, **more: object) -> None:
    """A workload on `url` is refused so, in time and showing no password; and a probe ends as clearly."""
    workload = RedisWorkload("0" * 8, {"url": url, **more})
    with pytest.raises(kind, match=why) as caught:
        workload.open(2)
    workload.close(False)
    assert hint in caught.value.hint
    assert SECRET not in str(caught.value)
    assert WRONG not in str(caught.value)


LETS_NOT_IN = "does not let us in: "


def test_a_password_that_is_wrong_missing_or_not_asked_for(start: Start, flavour: str) -> None:
    server, free = start(f"requirepass {SECRET}", flavour=flavour), start(flavour=flavour)
    wrong = "invalid username-password pair or user is disabled"
    refused(f"redis://:{WRONG}@{server.address}", UsageError, LETS_NOT_IN + wrong, "check user and password")
    refused(f"redis://nobody:{SECRET}@{server.address}", UsageError, LETS_NOT_IN + wrong, "check user and password")
    refused(f"redis://{server.address}", UsageError, f"{LETS_NOT_IN}Authentication required", "give the password")
    refused(f"redis://:{SECRET}@{free.address}", UsageError, "without any password configured", "leave it out")
    with pytest.raises(ActivityFailed, match=f"{LETS_NOT_IN}{wrong}") as caught:
        probes.cluster_whole({"redis_url": f"redis://:{WRONG}@{server.address}"})
    assert WRONG not in str(caught.value)


def test_a_password_of_sentinels(start: Start, flavour: str) -> None:
    server = start(flavour=flavour)
    watch = f"sentinel monitor mine 127.0.0.1 {server.port} 1"
    sentinel = start(watch, f"requirepass {SECRET}", sentinel=True, flavour=flavour)
    url, who = f"redis+sentinel://{sentinel.address}/mine", f"the sentinel {sentinel.address} {LETS_NOT_IN}"
    refused(url, UsageError, f"{who}Authentication required", "sentinel_passfile")
    assert probes.primary({"redis_url": url}, {"sentinel_password": SECRET})["primaries"] == 1
    with pytest.raises(ActivityFailed, match=f"{who}invalid username-password pair"):
        probes.primary({"redis_url": url}, {"sentinel_password": WRONG})


def test_a_sentinel_whose_user_may_not_ask_it(start: Start, flavour: str) -> None:
    server = start(flavour=flavour)
    watch = f"sentinel monitor mine 127.0.0.1 {server.port} 1"
    user = f"user watch on >{SECRET} ~* &* +@all -sentinel|ckquorum"
    sentinel = start(watch, user, sentinel=True, flavour=flavour)
    secrets = {"sentinel_username": "watch", "sentinel_password": SECRET}
    with pytest.raises(ActivityFailed, match=r"refuses SENTINEL CKQUORUM: .*no permissions"):
        probes.sentinel_quorum({"redis_url": f"redis+sentinel://{sentinel.address}/mine"}, secrets)


def test_what_is_no_redis_at_all(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=answer_as_web_servers_do, args=(listener,), daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        for url in (f"redis://{address}", f"redis+sentinel://{address}/mine"):
            refused(url, UsageError, f"{LETS_NOT_IN}an answer that no Redis gives", "name the address of a Redis")
            with pytest.raises(ActivityFailed, match="an answer that no Redis gives"):
                probes.cluster_whole({"redis_url": url})


def answer_as_web_servers_do(listener: socket.socket) -> None:
    """Until it is closed."""
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_what_calls_itself_a_redis_and_says_too_little() -> None:
    with pytest.raises(KeyError, match="role"):
        parsed("one:6379", {"redis_version": "2.4"})
    with pytest.raises(UnavailableError, match="one:6379 does not say its maxmemory"):
        Server("one:6379").says("maxmemory")


def test_commands_that_the_user_may_not_run_are_named_all_at_once_and_how_to_mend_it(
    start: Start, flavour: str
) -> None:
    server = start(f"user drill on >{SECRET} ~mine:* +@all -set -client|list -unlink -wait -@dangerous +info +role",
                   flavour=flavour)  # fmt: skip
    url = f"redis://drill:{SECRET}@{server.address}"
    with pytest.raises(UsageError) as caught:
        RedisWorkload("0" * 8, {"url": url, "acknowledgement": "WAIT 1"}).open(2)
    lacking = "set, client|list, client|kill, unlink, wait"
    assert caught.value.message == (
        f"the user drill of {server.address} may not run {lacking} and has no right to keys chaosdrills:*, as a drill "
        "does."
    )
    assert server.client().dbsize() == 0
    rules = caught.value.hint.partition("ACL SETUSER drill ")[2]
    assert rules == "~chaosdrills:* +set +client|list +client|kill +unlink +wait"
    server.client().execute_command("ACL", "SETUSER", "drill", *rules.split())
    workload = RedisWorkload("0" * 8, {"url": url, "read_from": "nothing"})
    workload.open(5)
    workload.close(False)


def test_a_user_with_next_to_no_rights_is_told_all_that_a_drill_needs(start: Start, flavour: str) -> None:
    server = start(f"user drill on >{SECRET} ~* -@all +get", flavour=flavour)
    url = f"redis://drill:{SECRET}@{server.address}"
    refused(url, UsageError, "refuses ROLE: .*no permissions to run the 'role' command", "ACL SETUSER <user> ~chaosd")
    with pytest.raises(UsageError) as caught:
        way_of({"redis_url": url}, {}).find(PRIMARY, 2)
    rules = caught.value.hint.partition("<user> ")[2].partition(",")[0].split()
    server.client().execute_command("ACL", "SETUSER", "drill", "resetkeys", *rules)
    workload = RedisWorkload("0" * 8, {"url": url, "read_from": "nothing"})
    workload.open(5)
    workload.close(False)


def test_a_server_that_is_no_primary_or_no_server_is_told(start: Start, flavour: str) -> None:
    server = start(flavour=flavour)
    replica = start(f"replicaof 127.0.0.1 {server.port}", flavour=flavour)
    sentinel = start(f"sentinel monitor mine 127.0.0.1 {server.port} 1", sentinel=True, flavour=flavour)
    refused(f"redis://{replica.address}", UsageError, "is a replica, and takes no writes", "name the primary")
    refused(f"redis://{sentinel.address}", UsageError, "is a sentinel, and keeps no data", "write redis+sentinel://")
    refused(f"redis+sentinel://{server.address}/mine", UsageError, "is no sentinel", "write redis://")
    refused(
        f"redis+sentinel://{sentinel.address}/yours",
        UsageError,
        f"the sentinel {sentinel.address} knows no master 'yours', but mine",
        "correct the name",
    )
    with pytest.raises(ActivityFailed, match="knows no master 'yours', but mine"):
        probes.sentinel_quorum({"redis_url": f"redis+sentinel://{sentinel.address}/yours"})
    refused("redis://127.0.0.1:1", UnavailableError, "takes writes, .* connection refused", "check the addresses")
    refused(f"redis://{server.address}/99", UsageError, "DB index is out of range", "name a database that it has")


def test_a_cluster_is_refused(start: Start, flavour: str) -> None:
    bus = free_pair(1)  # by itself it would be 10,000 above its own, where the kernel hands ports out
    node = start("cluster-enabled yes", f"cluster-port {bus}", flavour=flavour)
    node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    assert wait_until(lambda: "cluster_state:ok" in str(node.client().execute_command("CLUSTER", "INFO")), 20, 0.1)
    why = "is a node of a Redis Cluster, which is not supported"
    refused(f"redis://{node.address}", UsageError, why, "name a Redis that is no cluster")
    with pytest.raises(ActivityFailed, match=why):
        probes.cluster_whole({"redis_url": f"redis://{node.address}"})


def test_protected_mode_is_told(start: Start, flavour: str) -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address but its own loop")
    server = start("bind * -::*", flavour=flavour)
    url = f"redis://{address}:{server.port}"
    refused(url, UsageError, f"{LETS_NOT_IN}.*protected mode", "give it a password, or bind it")


def own_address() -> str:
    """An address of this machine that others may reach it by; empty if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        found = str(probe.getsockname()[0])
        return "" if found.startswith("127.") else found


def test_what_a_server_does_not_take_now_is_told(start: Start, flavour: str) -> None:
    full = start(flavour=flavour)
    full.client().config_set("maxmemory", "1")
    refused(f"redis://{full.address}", UnavailableError, r"refuses SET: .*used memory > 'maxmemory'", "make room")
    lone = start("min-replicas-to-write 1", flavour=flavour)
    refused(f"redis://{lone.address}", UnavailableError, r"refuses SET: .*good replicas", "min-replicas-to-write")
    ill = start("save 1 1000000", flavour=flavour)
    ill.client().set("mine", 1)
    (ill.folder / "dump.rdb").mkdir()
    ill.client().bgsave()
    assert wait_until(lambda: ill.client().info()["rdb_last_bgsave_status"] == "err", 20, 0.1)
    refused(f"redis://{ill.address}", UnavailableError, r"refuses SET: .*snapshot", "look at its log and its disk")


def test_a_server_that_loads_its_data_is_told(start: Start, flavour: str) -> None:
    before = start(flavour=flavour)
    before.client().mset({f"mine:{number}": "x" * 200 for number in range(3000)})
    before.client().save()
    before.kill()
    slow = ("key-load-delay 5000", "loading-process-events-interval-bytes 1024")
    before.config.write_text(before.config.read_text() + "\n".join([*slow, ""]))
    before.start()
    assert wait_until(lambda: before.client().info()["loading"], 20, 0.05)
    url = f"redis://{before.address}"
    refused(url, UnavailableError, "loading", "wait until it has")
    assert "is loading its data from disk" in probes.cluster_whole({"redis_url": url})["lacks"]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1, with its key in the same file."""
    path = tmp_path / "certificate.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=drill", "-addext"]
    argv += ["subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    path.write_text((tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text())
    return path


@pytest.fixture
def start_by_tls(start: Start, certificate: Path) -> Callable[..., Process]:
    """Starts Redis 7 by TLS: the wheel's Valkey is built without."""
    if program("redis7") is None or shutil.which("openssl") is None:
        pytest.skip("there is no Redis with TLS here")

    def begin(*settings: str) -> Process:
        names = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")
        return start(*(f"{name} {certificate}" for name in names), *settings, flavour="redis7", by_tls=True)

    return begin


def test_tls_on_one_side_only_and_certificates_that_do_not_fit(
    start_by_tls: Callable[..., Process], start: Start, certificate: Path, flavour: str
) -> None:
    plain, by_tls = start(flavour=flavour), start_by_tls("tls-auth-clients no")
    refused(f"redis://{by_tls.address}", UnavailableError, r"hangs up .*: does it want TLS \(rediss://\)\?", "check")
    refused(f"rediss://{plain.address}", UnavailableError, "does not answer, or not by TLS", "check the addresses")
    url = f"rediss://{by_tls.address}"
    refused(url, UsageError, f"{LETS_NOT_IN}certificate verify failed: self-signed certificate", "ssl_ca_certs")
    ours = f"ssl_ca_certs={certificate}"
    refused(f"{url}?ssl_ca_certs={certificate}.none", UsageError, "the file ssl_ca_certs .* cannot be read", "correct")
    elsewhere = url.replace("127.0.0.1", "localhost")
    assert probes.primary({"redis_url": f"{url}?{ours}"})["primaries"] == 1
    assert probes.primary({"redis_url": f"{elsewhere}?{ours}&ssl_check_hostname=false"})["primaries"] == 1
    refused(f"{elsewhere}?{ours}", UsageError, f"{LETS_NOT_IN}.*[Hh]ostname mismatch", "as its certificate does")
    strict = start_by_tls()
    mine = f"rediss://{strict.address}?{ours}"
    with pytest.raises(DrillError, match="certificate"):
        RedisWorkload("0" * 8, {"url": mine}).open(2)
    whole = f"{mine}&ssl_certfile={certificate}&ssl_keyfile={certificate}"
    assert probes.primary({"redis_url": whole})["primaries"] == 1
