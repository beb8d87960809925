"""Counting keys, and looking for how long they live, while the server serves others."""

import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from chaosdrills.errors import UnavailableError
from chaosdrills.redis.client import Session
from chaosdrills.redis.finding import Client
from chaosdrills.redis.overview import info_of
from chaosdrills.redis.readback import scan

ASK_S = 5.0


@dataclass(frozen=True)
class Lifetimes:
    """For how long some keys still live: of so many `sampled`, how many for ever, and the others' shortest and longest.

    The times are in seconds, -1 where no key that was sampled ends.
    """

    sampled: int
    endless: int
    shortest_s: float
    longest_s: float


@dataclass(frozen=True)
class Count:
    """How many keys were looked for and found, of how many in all, and what a sample of those that were found is."""

    keys: int
    all: int
    lifetimes: Lifetimes


def count(client: Client, address: str, prefix: str, sample: int, timeout_s: float) -> Count:
    """Count the keys of the URL's database of the server at `address`. Raises `DrillError`."""
    session = client.reach(address)
    if isinstance(session, str):
        raise UnavailableError(f"{address} {session}.", "look at its log.")
    try:
        found = sorted(keys_with(session, prefix, timeout_s))
        chosen = random.sample(found, min(max(0, sample), len(found)))
        return Count(len(found), int(session.do("DBSIZE", timeout_s=ASK_S)), lifetimes_of(session, chosen))
    finally:
        session.close()


def sizes_of(session: Session) -> dict[int, int]:
    """How many keys each database has that has any. Raises `ServerError`."""
    told = {name: text for name, text in info_of(session).items() if re.fullmatch(r"db\d+", name)}
    return {int(name[2:]): int(dict(it.split("=", 1) for it in text.split(","))["keys"]) for name, text in told.items()}


def keys_with(session: Session, prefix: str, timeout_s: float) -> set[bytes]:
    """The keys of the session's database that begin with `prefix`.

    Raises `UnavailableError` if that takes longer than `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    return {key for batch in scan(session, prefix.encode(), deadline) for key in batch}


def lifetimes_of(session: Session, keys: Sequence[bytes]) -> Lifetimes:
    """For how long these still live; one that is gone by now is left out. Raises `ServerError`."""
    left_ms = session.do_all([("PTTL", key) for key in keys], ASK_S) if keys else []
    ends = sorted(it / 1000 for it in left_ms if it >= 0)
    endless = sum(it == -1 for it in left_ms)
    return Lifetimes(endless + len(ends), endless, *((ends[0], ends[-1]) if ends else (-1.0, -1.0)))
