"""Restart attempts that a self-healer keeps in a Redis: a source of counts (`chaosdrills.observe.counts`).

`key` is one of four structures; nothing is ever written:

- a string: a counter.
- a list, or a sorted set (its scores): the instants of attempts, in seconds since 1970, or in milliseconds.
- a stream: an attempt for each entry, at the instant in its id.

Of instants, those count that were not there at the look before. Where the newest of before is gone (the key was
removed, trimmed past it, or a failover has lost it), the count begins anew: attempts may be missing. A key that is not
there is a count of 0. The primary is found anew for each look: one that leads no more would tell what it knew for ever.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chaosdrills.core.history import NS, Outcome
from chaosdrills.core.values import mapping, refuse_unknown
from chaosdrills.errors import DrillError, UsageError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.counts import NotSeen, Seen, whole
from chaosdrills.redis.client import Reply, ServerError, Session
from chaosdrills.redis.finding import PRIMARY, Client
from chaosdrills.redis.url import RedisUrl

NAMES = ("redis_url", "key", "secrets")
WHOSE = "the source of restart attempts"
MOST = 10_000  # instants of one structure
MILLISECONDS = 1e11  # seconds since 1970 are less, milliseconds more

Read = Callable[[Session, str, float], Sequence[float]]


class RedisAttempts:
    """One key. Arguments: `redis_url` (see `chaosdrills.redis.url`), `key`, and the experiment's `secrets`."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        refuse_unknown(WHOSE, arguments, NAMES)
        key = arguments.get("key")
        if not isinstance(key, str) or not key:
            raise UsageError(f"{WHOSE} was given no key.", "name the key in which the self-healer keeps them.")
        secrets = mapping("secrets", arguments.get("secrets", {}))
        self._client = Client(RedisUrl.of(arguments.get("redis_url"), secrets), "chaosdrills-watch")
        self._key = key
        self._known: list[tuple[float, int]] | None = None
        self._count = 0

    @staticmethod
    def check(arguments: Mapping[str, Any]) -> None:
        """Look at what is known before a run."""
        known = {name: value for name, value in arguments.items() if "${" not in str(value)}
        RedisAttempts({"redis_url": "redis://localhost", "key": "later", **known})

    def look(self, timeout_s: float) -> Seen:
        """As `chaosdrills.observe.counts.Source`."""
        try:
            session = self._client.find(PRIMARY, timeout_s, patient=True)
            try:
                return self._look(session, timeout_s)
            finally:
                session.close()
        except ServerError as error:
            outcome = Outcome.FAILED if error.code else Outcome.UNKNOWN
            raise NotSeen(f"the Redis refuses it ({error.code or 'no answer'})", outcome) from error
        except DrillError as error:
            raise NotSeen("no Redis that takes writes answers", Outcome.UNKNOWN) from error

    def close(self) -> None:
        """As `chaosdrills.observe.counts.Source`: no connection outlasts its look."""

    def _look(self, session: Session, timeout_s: float) -> Seen:
        kind = session.do("TYPE", self._key, timeout_s=timeout_s).decode()
        if kind == "string":
            return Seen(whole(_counter(session.do("GET", self._key, timeout_s=timeout_s)), "its counter"))
        if kind not in _READS:
            raise NotSeen(f"its key is a {kind}, which keeps no attempts")
        return self._compared(_numbered(_READS[kind](session, self._key, timeout_s)))

    def _compared(self, found: list[tuple[float, int]]) -> Seen:
        """What is seen in `found`, ascending; those that are equal are told apart by a number."""
        known, self._known = self._known, found
        if known is None:
            self._count = len(found)
            return Seen(self._count)
        anew = bool(known) and known[-1] not in found
        before = set(known)
        new = [at for at in found if at not in before]
        offset_ns, same = boottime_ns() - time.time_ns(), anew and self._count == 1
        self._count = 0 if anew else self._count
        since = [(round(at_s * NS) + offset_ns, self._count + index) for index, (at_s, _) in enumerate(new, 1)]
        if same:  # from 1 to 1, as in a list of which only the newest is kept: nothing else would tell
            since = [(at_ns, 0) for at_ns, _ in since[:1]] + since
        self._count += len(new)
        return Seen(self._count, tuple(since))


def _counter(value: Reply) -> int:
    if not isinstance(value, bytes) or not value.isdigit() or len(value) > 18:
        raise NotSeen("its key is no counter")
    return int(value)


def _numbered(instants: Sequence[float]) -> list[tuple[float, int]]:
    """`instants` ascending, each with how many there are of the same before it."""
    seen: dict[float, int] = {}
    numbered = []
    for at_s in sorted(instants):
        numbered.append((at_s, seen.get(at_s, 0)))
        seen[at_s] = seen.get(at_s, 0) + 1
    return numbered


def _few(count: int) -> None:
    if count > MOST:
        raise NotSeen(f"its key holds more than {MOST:,} attempts")


def _list(session: Session, key: str, timeout_s: float) -> Sequence[float]:
    _few(session.do("LLEN", key, timeout_s=timeout_s))
    return [_instant(it) for it in session.do("LRANGE", key, 0, -1, timeout_s=timeout_s)]


def _sorted_set(session: Session, key: str, timeout_s: float) -> Sequence[float]:
    _few(session.do("ZCARD", key, timeout_s=timeout_s))
    return [_instant(it) for it in session.do("ZRANGE", key, 0, -1, "WITHSCORES", timeout_s=timeout_s)[1::2]]


def _stream(session: Session, key: str, timeout_s: float) -> Sequence[float]:
    _few(session.do("XLEN", key, timeout_s=timeout_s))
    return [_instant(it.partition(b"-")[0]) for it, _ in session.do("XRANGE", key, "-", "+", timeout_s=timeout_s)]


def _instant(word: bytes) -> float:
    try:
        number = float(word)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e14:
        raise NotSeen("its key holds something that is no instant")
    return number / 1e3 if number > MILLISECONDS else number


def _none(session: Session, key: str, timeout_s: float) -> Sequence[float]:
    return ()


_READS: Mapping[str, Read] = {"list": _list, "zset": _sorted_set, "stream": _stream, "none": _none}
