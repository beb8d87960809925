"""What is taken from a feature_store.yaml, and what is refused before Feast is run."""

from pathlib import Path

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.feast.settings import Settings
from chaosdrills.redis.url import RedisUrl

STORE = "project: shop\nregistry: registry.db\nentity_key_serialization_version: 3\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "registry.db").write_bytes(b"")
    return tmp_path


def said(repository: Path, text: str) -> Settings:
    (repository / "feature_store.yaml").write_text(text)
    return Settings.of(repository)


def store(repository: Path, **settings: str) -> Settings:
    lines = "".join(f"  {name}: {value}\n" for name, value in settings.items())
    return said(repository, f"{STORE}online_store:\n  type: redis\n{lines}")


def test_a_store_through_sentinel(repository: Path) -> None:
    text = '"s1:26379,s2:26379,s3:26379,db=2,username=feast,password=p,socket_timeout=0.5"'
    found = store(repository, redis_type="redis_sentinel", sentinel_master="drill", connection_string=text)
    assert found == Settings(
        repository, "shop", str(repository / "registry.db"),
        "redis+sentinel://feast@s1:26379,s2:26379,s3:26379/drill?db=2", {"password": "p"},
    )  # fmt: skip
    assert "password" not in repr(found)
    url = RedisUrl.of(found.redis_url, found.secrets)
    assert (url.mode, url.name, url.db, url.login().password) == ("sentinel", "drill", 2, "p")


def test_a_single_server(repository: Path) -> None:
    assert store(repository, connection_string="redis:6380,redis2:6380,db=1").redis_url == "redis://redis:6380/1"
    assert said(repository, f"{STORE}online_store: redis\n").redis_url == "redis://localhost:6379/0"


def test_a_server_by_tls(repository: Path) -> None:
    text = "redis:6380,ssl=true,ssl_ca_certs=/etc/ca.pem,ssl_check_hostname=false"
    found = store(repository, connection_string=text).redis_url
    assert found == "rediss://redis:6380/0?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=false"
    assert RedisUrl.of(found).tls == {"ssl_ca_certs": "/etc/ca.pem", "ssl_check_hostname": False}


@pytest.mark.parametrize(("written", "sent"), [("pass", "pass"), ("007", "007"), ("123", "123"), ('\\"1\\"', "1")])
def test_a_password_is_what_feast_makes_of_it(repository: Path, written: str, sent: str) -> None:
    assert store(repository, connection_string=f'"redis:6379,password={written}"').secrets == {"password": sent}


def test_a_variable_that_is_set(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAST_REDIS", "redis:7000")
    assert store(repository, connection_string="${FEAST_REDIS}").redis_url == "redis://redis:7000/0"


def test_a_registry_elsewhere_is_taken_as_it_is(repository: Path) -> None:
    text = STORE.replace("registry.db", "s3://bucket/registry.db") + "online_store: redis\n"
    assert said(repository, text).registry == "s3://bucket/registry.db"


def test_the_file_may_be_named(repository: Path) -> None:
    (repository / "other.yaml").write_text(f"{STORE}online_store: redis\n")
    assert Settings.of(repository / "other.yaml").project == "shop"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{STORE}online_store:\n  type: redis\n  connection_string: ${{NOWHERE_SET}},db=0\n",
         "takes online_store.connection_string from the variable NOWHERE_SET, which is not set"),
        (STORE.replace("registry.db", "data/registry.db"), "there is no registry at .*data/registry.db; Feast would"),
        ("project: shop\nonline_store: redis\n", "names no registry"),
        ("registry: registry.db\n", "names no project"),
        (f"{STORE}online_store: sqlite\n", "the online store in .* is 'sqlite', not Redis"),
        (STORE, "the online store in .* is 'sqlite', not Redis"),
        (f"{STORE}online_store:\n  type: redis\n  redis_type: redis_cluster\n", "Redis Cluster is not supported"),
        (f"{STORE}online_store:\n  type: redis\n  redis_type: valkey\n", "has redis_type 'valkey'"),
        (f"{STORE}online_store:\n  type: redis\n  connection_string: redis\n", "begin with host:port"),
        (f"{STORE}online_store:\n  type: redis\n  connection_string: redis:6379,db=x\n", "a db that is no number"),
        (f"{STORE}online_store:\n  type: redis\n  connection_string: redis:6379,password=true\n", "is no text"),
        (f"{STORE}online_store:\n  type: redis\n  redis_type: redis_sentinel\n  connection_string: s:1,ssl=true\n",
         "TLS to servers and not to sentinels"),
        (f"{STORE}online_store:\n  type: redis\n  connection_string: s:1,ssl=true,ssl_cert_reqs=none\n",
         "check the server's certificate"),
        (STORE.replace("version: 3", "version: 2"), "entity_key_serialization_version 2"),
        ("project: shop\nregistry: {registry_type: sql, path: sqlite:///x}\n", "a registry of type 'sql'"),
        ("project: shop\nregistry: {path: registry.db, enable_online_feature_view_versioning: true}\n", "other names"),
        ("project: [\n", "line 2 is not YAML"),
        ("- 1\n", "holds no settings"),
    ],
)  # fmt: skip
def test_what_cannot_be_drilled(repository: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as raised:
        said(repository, text)
    assert raised.value.hint


def test_no_repository_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"feature_store.yaml cannot be read: No such file"):
        Settings.of(tmp_path)


def test_a_comment_may_name_a_variable(repository: Path) -> None:
    assert said(repository, f"# ${{NOWHERE_SET}}\n{STORE}online_store: redis\n").project == "shop"
