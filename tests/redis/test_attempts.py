"""Restart attempts that are kept in a Redis, in each structure that may hold them, on real servers."""

import time
from typing import Any

import pytest

from chaosdrills.core.history import NS, Outcome
from chaosdrills.errors import UsageError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.counts import NotSeen, Seen
from chaosdrills.redis.attempts import MOST, RedisAttempts
from tests.redis.servers import Group, Process, Start

KEY = "healer:attempts"


@pytest.fixture
def server(start: Start, flavour: str) -> Process:
    return start(flavour=flavour)


def source(server: Process, key: str = KEY) -> RedisAttempts:
    return RedisAttempts({"redis_url": f"redis://{server.address}", "key": key})


def put(server: Process, kind: str, *instants: float) -> None:
    """Add attempts to the key, as a self-healer would."""
    client = server.client()
    for at_s in instants:
        if kind == "list":
            client.lpush(KEY, at_s)
        elif kind == "list of milliseconds":
            client.rpush(KEY, round(at_s * 1000))
        elif kind == "zset":
            client.zadd(KEY, {f"attempt {at_s}": at_s})
        else:
            client.xadd(KEY, {"node": 1}, id=f"{round(at_s * 1000)}-1")


def counts(seen: Seen) -> tuple[int, list[int]]:
    return seen.count, [count for _, count in seen.since]


@pytest.mark.parametrize("kind", ["list", "list of milliseconds", "zset", "stream"])
def test_instants_are_counted_and_known(server: Process, kind: str) -> None:
    watched, now = source(server), time.time()
    assert watched.look(2) == Seen(0)
    put(server, kind, now - 3, now - 1)
    seen = watched.look(2)
    assert counts(seen) == (2, [1, 2])
    for (at_ns, _), ago_s in zip(seen.since, (3, 1), strict=True):
        assert abs(boottime_ns() - at_ns - ago_s * NS) < 2 * NS, "on our own clock"
    assert counts(watched.look(2)) == (2, [])
    put(server, kind, now - 2 if kind == "zset" else now - 0.5)
    assert counts(watched.look(2)) == (3, [3]), "one that is told late, or in order"


@pytest.mark.parametrize("kind", ["list", "zset", "stream"])
def test_what_was_there_before_has_no_instants(server: Process, kind: str) -> None:
    put(server, kind, 100, 200, 300)
    assert source(server).look(2) == Seen(3)


def test_a_counter(server: Process) -> None:
    watched = source(server)
    assert watched.look(2) == Seen(0)
    server.client().set(KEY, 7)
    assert watched.look(2) == Seen(7)
    server.client().incr(KEY)
    assert watched.look(2) == Seen(8)
    server.client().set(KEY, "3")
    assert watched.look(2) == Seen(3)


def test_a_structure_that_is_emptied_begins_anew(server: Process) -> None:
    put(server, "zset", 100, 200)
    watched = source(server)
    assert watched.look(2) == Seen(2)
    server.client().flushall()
    assert watched.look(2) == Seen(0)
    put(server, "zset", 300)
    assert counts(watched.look(2)) == (1, [1])


def test_one_that_is_trimmed_goes_on_and_one_trimmed_too_far_begins_anew(server: Process) -> None:
    put(server, "list", 100, 200, 300)
    watched = source(server)
    assert watched.look(2) == Seen(3)
    put(server, "list", 400)
    server.client().ltrim(KEY, 0, 1)
    assert counts(watched.look(2)) == (4, [4]), "300 and 400 are left"
    put(server, "list", 500, 600)
    server.client().ltrim(KEY, 0, 0)
    assert counts(watched.look(2)) == (1, [1]), "600 is left: 500 was never seen"
    put(server, "list", 700)
    server.client().ltrim(KEY, 0, 0)
    assert counts(watched.look(2)) == (1, [0, 1]), "one more, though the count is the same"


def test_equal_instants_are_attempts_of_their_own(server: Process) -> None:
    watched = source(server)
    put(server, "list", 100)
    assert watched.look(2) == Seen(1)
    put(server, "list", 100, 100)
    assert counts(watched.look(2)) == (3, [2, 3])


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("SET", KEY, "many"), "its key is no counter"),
        (("SET", KEY, "-1"), "its key is no counter"),
        (("SET", KEY, str(2**40)), "its counter is no count"),
        (("SADD", KEY, "1"), "its key is a set, which keeps no attempts"),
        (("HSET", KEY, "a", "1"), "its key is a hash, which keeps no attempts"),
        (("RPUSH", KEY, "yesterday"), "its key holds something that is no instant"),
        (("ZADD", KEY, "-1", "a"), "its key holds something that is no instant"),
        (("ZADD", KEY, "+inf", "a"), "its key holds something that is no instant"),
        (("RPUSH", KEY, *map(str, range(MOST + 1))), "its key holds more than 10,000 attempts"),
    ],
)
def test_what_keeps_no_attempts(server: Process, command: tuple[str, ...], why: str) -> None:
    server.client().execute_command(*command)
    with pytest.raises(NotSeen, match=f"^{why}$") as caught:
        source(server).look(2)
    assert caught.value.outcome == Outcome.FAILED


def test_a_user_who_may_not_look_is_told(server: Process) -> None:
    server.client().execute_command("ACL", "SETUSER", "guest", "on", ">hush", "~*", "+role", "+type", "+client")
    server.client().set(KEY, 1)
    watched = RedisAttempts(
        {"redis_url": f"redis://{server.address}", "key": KEY, "secrets": {"username": "guest", "password": "hush"}}
    )
    with pytest.raises(NotSeen, match=r"^the Redis refuses it \(NOPERM\)$"):
        watched.look(2)


def test_nobody_who_answers(server: Process) -> None:
    watched = source(server)
    server.kill()
    with pytest.raises(NotSeen, match="no Redis that takes writes answers") as caught:
        watched.look(0.2)
    assert caught.value.outcome == Outcome.UNKNOWN


def test_the_primary_is_asked_whoever_that_is(group: Group) -> None:
    """One that was paused goes on with the old count, and is not asked any more."""
    watched = RedisAttempts({"redis_url": group.url, "key": KEY})
    group.primary.client().set(KEY, 1)
    assert group.primary.client().wait(2, 5000) == 2
    assert watched.look(2) == Seen(1)
    group.primary.kill()
    deadline = time.monotonic() + 30
    seen: Any = None
    while seen is None:
        try:
            seen = watched.look(1)
        except NotSeen:
            assert time.monotonic() < deadline, "nobody was promoted"
    assert seen == Seen(1)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"redis_url": "redis://h"}, "was given no key"),
        ({"redis_url": "redis://h", "key": ""}, "was given no key"),
        ({"key": "a"}, "there is no URL of a Redis"),
        ({"redis_url": "http://h", "key": "a"}, "URL"),
        ({"redis_url": "redis://h", "key": "a", "keys": "b"}, "has no argument 'keys'"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        RedisAttempts(arguments)


def test_what_is_not_known_yet_is_passed_over() -> None:
    RedisAttempts.check({"redis_url": "${redis_url}", "key": "${key}"})
    with pytest.raises(UsageError, match="has no argument 'kee'"):
        RedisAttempts.check({"kee": "a"})
