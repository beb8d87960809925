"""FLUSHALL, which takes every key of every database: allowed by name only, and never by chance.

`allow` names what is flushed, the primary's address or, through Sentinel, the master's name. How many keys would go,
and how many of them are none of a drill, is counted before, on the very server.
"""

from dataclasses import dataclass

from chaosdrills.errors import UsageError
from chaosdrills.faults.lab import is_lab
from chaosdrills.host.nodes import load
from chaosdrills.redis import counting
from chaosdrills.redis.client import Session
from chaosdrills.redis.finding import PRIMARY, Client
from chaosdrills.redis.keys import ROOT

SERVICE = "redis"
FIND_S = 10.0
COUNT_S = 60.0
FLUSH_S = 60.0
ASK_S = 5.0


@dataclass(frozen=True)
class Toll:
    """What FLUSHALL would take from the server at `address`: how many keys, and how many that no drill has made."""

    address: str
    keys: int
    foreign: int

    def __str__(self) -> str:
        return f"{self.keys:,} keys of {self.address}, {self.foreign:,} of them of no drill"


def flush(session: Session) -> None:
    """Do it, on the very server that was counted. Raises `DrillError`."""
    session.do("FLUSHALL", timeout_s=FLUSH_S)


def allowed(client: Client, session: Session, allow: str, foreign_ok: bool) -> Toll:
    """What would go, if that is allowed. Raises `UsageError` if not, saying what would have gone."""
    toll = count(session)
    require_allowed(client, [toll.address], allow, str(toll))
    if toll.foreign and not foreign_ok and not _is_labs(client, toll.address):
        raise UsageError(
            f"FLUSHALL would take {toll}: nothing was flushed.",
            "point the drill at a Redis that nobody needs; 'allow_foreign_keys' flushes all the same.",
        )
    return toll


def require_allowed(client: Client, addresses: list[str], allow: str, what: str) -> None:
    """Raise `UsageError` unless `allow` is the master's name, or one of the primary's `addresses`."""
    names = [*addresses, *([client.url.name] if client.url.name else [])]
    if allow not in names:
        given = f"allow is {allow!r}" if allow else "nothing allows it"
        raise UsageError(
            f"FLUSHALL would take {what}, and {given}: nothing was flushed.",
            f"give allow as {' or '.join(map(repr, names))} if that is what you want.",
        )


def primary(client: Client) -> Session:
    """A connection of its own to the primary. Raises `DrillError`."""
    return client.find(PRIMARY, FIND_S)


def count(session: Session) -> Toll:
    """What FLUSHALL would take. Raises `UnavailableError` if that cannot be counted within a minute a database."""
    sizes, ours = counting.sizes_of(session), 0
    for db in sizes:
        session.do("SELECT", db, timeout_s=ASK_S)
        ours += len(counting.keys_with(session, ROOT, COUNT_S))
    keys = sum(sizes.values())
    return Toll(session.address, keys, max(0, keys - ours))


def _is_labs(client: Client, address: str) -> bool:
    """Whether the server itself is a living node of the lab that the URL names: its sentinels may know others, too."""
    lab = load(SERVICE) if is_lab(SERVICE, client.url.addresses) else None
    return lab is not None and any(node.alive and node.endpoint == address for node in lab.nodes)
