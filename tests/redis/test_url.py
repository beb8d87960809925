"""The way to a Redis as one text: what is understood, what is refused, and that no secret is shown."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaosdrills.errors import UsageError
from chaosdrills.redis.url import LIST, SENTINEL, SINGLE, Login, RedisUrl, addresses

SECRET = "hunter2"
CHECKED = {"ssl_check_hostname": True}

UNDERSTOOD = {
    "redis://one": RedisUrl(SINGLE, ("one:6379",)),
    "redis://one:7/3": RedisUrl(SINGLE, ("one:7",), db=3),
    "redis://one:7/?db=4": RedisUrl(SINGLE, ("one:7",), db=4),
    " redis://one ": RedisUrl(SINGLE, ("one:6379",)),
    "REDIS://one": RedisUrl(SINGLE, ("one:6379",)),
    "redis://[::1]:7": RedisUrl(SINGLE, ("[::1]:7",)),
    "redis://one:1,two,[fe80::1]:3/2": RedisUrl(LIST, ("one:1", "two:6379", "[fe80::1]:3"), db=2),
    "rediss://one": RedisUrl(SINGLE, ("one:6379",), tls=CHECKED),
    "rediss://one?ssl_ca_certs=/a&ssl_certfile=/b&ssl_keyfile=/c&ssl_check_hostname=false": RedisUrl(
        SINGLE,
        ("one:6379",),
        tls={"ssl_ca_certs": "/a", "ssl_certfile": "/b", "ssl_keyfile": "/c", "ssl_check_hostname": False},
    ),
    "redis+sentinel://one,two:5,three/mine?db=1": RedisUrl(
        SENTINEL, ("one:26379", "two:5", "three:26379"), name="mine", db=1
    ),
    "redis+sentinel://one/my%20own": RedisUrl(SENTINEL, ("one:26379",), name="my own"),
    "rediss+sentinel://one/mine": RedisUrl(SENTINEL, ("one:26379",), name="mine", tls=CHECKED),
}


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_a_url_is_taken_apart(text: str) -> None:
    assert RedisUrl.of(text) == UNDERSTOOD[text]


REFUSED = {
    "": "there is no URL",
    "one:6379": "cannot be understood",
    "http://one": "http:// is no Redis",
    "redisx://one": "redisx:// is no Redis",
    "redis+cluster://one": "Redis Cluster is not supported",
    "redis://": "a host in the Redis URL",
    "redis://one:x": "a host in the Redis URL",
    "redis://one:0": "a host in the Redis URL",
    "redis://one:65536": "a host in the Redis URL",
    "redis://one,,two": "a host in the Redis URL",
    "redis://one two": "a host in the Redis URL",
    "redis://::1": "a host in the Redis URL",
    "redis://one/two": "is no number",
    "redis://one/-1": "is no number",
    "redis://one?pass=x": "pass",
    "redis://one?ssl_certfile=x": "is not by TLS",
    "rediss://one?ssl_check_hostname=perhaps": "ssl_check_hostname",
    "redis+sentinel://one": "names no master",
    "redis+sentinel://one/": "names no master",
    "redis+sentinel://one/mine?db=x": "is no number",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_url_is_refused_with_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=REFUSED[text]) as caught:
        RedisUrl.of(text)
    assert caught.value.hint


@pytest.mark.parametrize("text", [None, 5, ["redis://one"]])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(UsageError, match="there is no URL"):
        RedisUrl.of(text)


def test_who_we_are_stands_in_the_url_in_secrets_or_in_files(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("in-file\nsecond line\n")
    (tmp_path / "theirs").write_text("sentinels'")
    files = f"passfile={tmp_path}/word&sentinel_user=watch&sentinel_passfile={tmp_path}/theirs"
    given = RedisUrl.of(f"redis+sentinel://me:p%40ss@one/mine?{files}")
    assert given.login() == Login("me", "p@ss", 0)
    assert given.sentinel_login() == Login("watch", "sentinels'", 0)
    assert RedisUrl.of(f"redis://me@one/2?passfile={tmp_path}/word").login() == Login("me", "in-file", 2)
    assert RedisUrl.of("redis://:only@one").login() == Login("", "only", 0)
    secrets = {"username": "her", "password": SECRET, "sentinel_username": "s", "sentinel_password": "t"}
    over = RedisUrl.of(f"redis+sentinel://me:pass@one/mine?{files}&db=3", secrets)
    assert (over.login(), over.sentinel_login()) == (Login("her", SECRET, 3), Login("s", "t", 0))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    assert RedisUrl.of(f"redis://one?passfile={tmp_path}/empty").login() == Login()
    with pytest.raises(UsageError, match=f"password, {tmp_path}/none, cannot be read"):
        RedisUrl.of(f"redis://one?passfile={tmp_path}/none").login()
    with pytest.raises(UsageError, match=f"ssl_keyfile of the Redis URL, {tmp_path}/none, cannot be read"):
        RedisUrl.of(f"rediss://one?ssl_keyfile={tmp_path}/none").login()


def test_a_secret_of_another_name_is_refused() -> None:
    with pytest.raises(UsageError, match="pass_word") as caught:
        RedisUrl.of("redis://one", {"pass_word": SECRET})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("text", [f"redis://me:{SECRET}@one:x", f"redis://me:{SECRET}@one/db", f"xx://:{SECRET}@one"])
def test_no_refusal_shows_a_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        RedisUrl.of(text)
    assert SECRET not in str(caught.value)


def test_no_text_of_a_url_shows_a_password() -> None:
    given = RedisUrl.of(f"redis://me:{SECRET}@one")
    assert SECRET not in repr(given) + repr(given.login()) + str(given)


def test_the_addresses_tell_one_redis_from_another() -> None:
    assert addresses("redis+sentinel://me:x@one:1,two:2/mine") == {"one:1", "two:2"}
    assert addresses("no url") == set()


HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True), st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda it: f"[{it}]"),
)  # fmt: skip
PLACES = st.lists(st.tuples(HOSTS, st.integers(1, 65535)), min_size=1, max_size=4)


@given(PLACES, st.integers(0, 99), st.booleans(), st.text(max_size=8), st.text(max_size=8))
def test_what_is_put_together_is_taken_apart_again(
    places: list[tuple[str, int]], db: int, tls: bool, user: str, password: str
) -> None:
    hosts = tuple(f"{host}:{port}" for host, port in places)
    who = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    scheme = "rediss" if tls else "redis"
    plain = RedisUrl.of(f"{scheme}://{who}{','.join(hosts)}/{db}")
    assert (plain.hosts, plain.db, plain.mode) == (hosts, db, LIST if len(hosts) > 1 else SINGLE)
    assert (plain.login().username, plain.login().password) == (user, password)
    watched = RedisUrl.of(f"{scheme}+sentinel://{who}{','.join(hosts)}/mine?db={db}")
    assert (watched.hosts, watched.db, watched.name, watched.mode) == (hosts, db, "mine", SENTINEL)
    assert (watched.tls is not None) == tls


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for scheme in ("", "redis://", "rediss+sentinel://"):
        with suppress(UsageError):  # and nothing else
            assert RedisUrl.of(scheme + text).hosts
