"""Whether a Redis is whole: one leads, all other servers that are known follow it, and every sentinel sees it so.

An old primary that came back and is still to be demoted is waited for: it takes writes that nobody will have.
"""

import time

from chaosdrills.errors import UnavailableError
from chaosdrills.redis import overview
from chaosdrills.redis.finding import Client
from chaosdrills.redis.overview import Overview

POLL_S = 0.1


def look(client: Client) -> tuple[Overview, str]:
    """One look, and what it lacks, in words; empty if it is whole. Raises `UsageError` if we are refused."""
    found = overview.look(client)
    return found, found.lacks()


def wait_whole(client: Client, timeout_s: float) -> Overview:
    """Wait until it is whole; how it is then. Raises `UnavailableError` with what is missing after that."""
    deadline = time.monotonic() + timeout_s
    while True:
        found, lacks = look(client)
        if not lacks:
            return found
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"the Redis is not whole after {timeout_s:g} s: {lacks}.",
                "look at the logs of servers and sentinels; 'chaos drills heal' starts nodes of the lab that a drill "
                "has hit, and SENTINEL RESET makes sentinels forget servers that are gone for good.",
            )
        time.sleep(POLL_S)
