"""A Redis lab with users and passwords, and one that speaks TLS: who is let in, and who is not."""

import os
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, start_node
from chaosdrills.host.processes import send_signal, this_process, wait_until
from chaosdrills.lab import lifecycle, redis, redis_access, redis_certificates, supervision
from chaosdrills.lab.redis_access import Passwords
from chaosdrills.lab.redis_programs import SERVER
from chaosdrills.redis.client import ConnectionRefused, ServerError, Session
from chaosdrills.redis.url import Login, RedisUrl
from tests.conftest import REDIS_OFFSETS, free_base_port
from tests.lab.redis_nodes import ask, primary, role, wait_whole

pytestmark = pytest.mark.lab

OTHER = shutil.which("redis-check-rdb")  # which is a Redis server, too, in Debian's package redis-tools
NEEDS_OTHER = pytest.mark.skipif(not OTHER, reason="NO OTHER REDIS: redis-tools is not installed")
USERS, TLS = "users", "users and TLS"


@pytest.fixture(scope="module", params=[USERS, pytest.param(TLS, marks=NEEDS_OTHER)])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Valkey with users; Redis 7, which is built with TLS, with both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state \u00fc")))
        if request.param == TLS:
            patch.setenv(SERVER, str(OTHER))
        options = {"base_port": free_base_port(REDIS_OFFSETS), "acl": True, "tls": request.param == TLS}
        yield lifecycle.up("redis", options, owner=this_process())
        assert lifecycle.down("redis")


def url_of(lab: Cluster) -> RedisUrl:
    return RedisUrl.of(redis.configuration(lab)["redis_url"])


def refused_as(lab: Cluster, node_id: int, login: Login) -> str:
    """How a node refuses a login."""
    with pytest.raises(ConnectionRefused) as raised:
        Session(lab.node(node_id).endpoint, login, "a-test", 2)
    return str(raised.value)


def test_nobody_is_let_in_without_a_password(lab: Cluster) -> None:
    known = url_of(lab).login()
    for node in (1, 4):
        assert "invalid username-password" in refused_as(lab, node, Login("drill", "guessed", tls=known.tls))
        assert refused_as(lab, node, Login(tls=known.tls, password="")) == "Authentication required"


def test_the_drills_user_has_its_own_keys_and_looks_at_all_else(lab: Cluster) -> None:
    leads = primary(lab)
    assert ask(lab, leads, "SET", "chaosdrills:x", "1") == b"OK"
    assert ask(lab, leads, "WAIT", 2, 2000) == 2
    assert b"chaosdrills:x" in ask(lab, leads, "SCAN", 0)[1]
    assert ask(lab, leads, "CONFIG", "GET", "maxmemory") == [b"maxmemory", b"0"]
    assert b"role:master" in ask(lab, leads, "INFO")
    assert ask(lab, leads, "CLIENT", "LIST").count(b" user=drill ") == 1
    assert ask(lab, 4, "SENTINEL", "CKQUORUM", "drill").startswith(b"OK 3 usable")
    for words in (
        ("SET", "x", 1),
        ("FLUSHALL",),
        ("CONFIG", "SET", "maxmemory", 1),
        ("REPLICAOF", "NO", "ONE"),
        ("SHUTDOWN",),
        ("ACL", "LIST"),
        ("KEYS", "*"),
        ("EVAL", "return 1", 0),
    ):
        with pytest.raises(ServerError) as raised:
            ask(lab, leads, *words)
        assert raised.value.code == "NOPERM"
    with pytest.raises(ServerError):
        ask(lab, 4, "SENTINEL", "REMOVE", "drill")


def test_who_may_do_everything_may_do_so_with_the_password_beside(lab: Cluster) -> None:
    private = nodes.cluster_dir("redis") / "secrets"
    login = Login("admin", redis_access.admin_passfile(private).read_text().strip(), tls=url_of(lab).login().tls)
    for node in (primary(lab), 5):
        session = Session(lab.node(node).endpoint, login, "a-test", 2)
        assert session.do("ACL", "WHOAMI", timeout_s=2) == b"admin"
        session.close()


def test_it_fails_over_and_mends_itself(lab: Cluster) -> None:
    old = primary(lab)
    process = lab.node(old).process
    assert process is not None
    send_signal(process, 9)
    assert wait_until(lambda: any(role(lab, node) == "master" for node in (1, 2, 3) if node != old), 30)
    assert start_node("redis", old)
    wait_whole(lab)
    found = nodes.load("redis")
    assert found is not None
    lab.nodes[:] = found.nodes


def test_passwords_and_keys_are_in_files_of_this_user_and_nowhere_else(lab: Cluster) -> None:
    folder = nodes.cluster_dir("redis")
    private = folder / "secrets"
    files = (redis_access.passfile, redis_access.sentinel_passfile, redis_access.admin_passfile)
    passwords = [file(private).read_text().strip() for file in files]
    assert len({*passwords}) == 3
    assert [len(each) for each in passwords] == [32] * 3
    assert oct(private.stat().st_mode & 0o777) == "0o700"
    assert {oct(file(private).stat().st_mode & 0o777) for file in files} == {"0o600"}
    told = [str(redis.configuration(lab)), (folder / "lab.json").read_text()]
    told += [path.read_text(errors="replace") for path in (*folder.glob("*.log"), *private.glob("*.conf"))]
    for process in supervision.living("redis"):
        told += [Path(f"/proc/{process.pid}/{name}").read_text(errors="replace") for name in ("cmdline", "environ")]
    assert [text for text in told if any(each in text for each in passwords)] == []


def test_where_tls_is_spoken_nothing_else_is(lab: Cluster) -> None:
    known = url_of(lab).login()
    if not lab.options["tls"]:
        assert refused_as(lab, 1, Login(known.username, known.password, tls={"ssl_cert_reqs": "none"}))
        return
    for node in (1, 4):
        assert refused_as(lab, node, Login(known.username, known.password))
        unknown = refused_as(lab, node, Login(known.username, known.password, tls={"ssl_check_hostname": True}))
        assert "certificate verify failed" in unknown
    assert os.stat(nodes.cluster_dir("redis") / "secrets" / redis_certificates.KEY).st_mode & 0o777 == 0o600


def test_a_server_without_tls_is_named(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER, raising=False)
    with pytest.raises(UnavailableError, match=r"Valkey 9\.1\.2 .* does not speak TLS: Failed finding TLS") as raised:
        lifecycle.up("redis", {"base_port": free_base_port(REDIS_OFFSETS), "tls": True})
    assert SERVER in raised.value.hint
    assert supervision.living("redis") == []


def test_certificates_are_for_this_machine_and_for_nobody_else(tmp_path: Path) -> None:
    redis_certificates.make(tmp_path)
    context = ssl.create_default_context(cafile=str(tmp_path / redis_certificates.AUTHORITY))
    context.load_cert_chain(tmp_path / redis_certificates.CERTIFICATE, tmp_path / redis_certificates.KEY)
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}
    assert list(redis_certificates.lines(tmp_path))[2] == f'tls-ca-cert-file "{tmp_path}/ca.pem"'


def test_no_password_stands_in_what_can_be_printed() -> None:
    passwords = Passwords.made()
    assert passwords.drill not in repr(passwords)
    assert passwords.drill not in "\n".join([*passwords.server_lines(), *passwords.sentinel_lines()])
