"""What has removed keys, by what servers say of themselves at each look."""

from dataclasses import replace

import pytest

from chaosdrills.redis.info import Info
from chaosdrills.redis.removals import EVICTED, FLUSHED, Removals

BEGIN = Info(run_id="a", leads=True, flushed=3, evicted=7, expired=1)


def seen(*looks: Info) -> Removals:
    found = Removals()
    for at_s, each in enumerate(looks):
        found.see("h:1", each, at_s)
    return found


@pytest.mark.parametrize(
    ("then", "flushed"),
    [
        ([BEGIN], 0),
        ([replace(BEGIN, flushed=5)], 2),
        ([replace(BEGIN, run_id="b", flushed=0)], 0),
        ([replace(BEGIN, run_id="b", flushed=4)], 4),
        ([replace(BEGIN, flushed=1)], 1),  # it was told to forget what it counted, and was flushed
        ([replace(BEGIN, flushed=0), replace(BEGIN, flushed=1)], 1),
    ],
)
def test_what_was_flushed_since_the_first_look(then: list[Info], flushed: int) -> None:
    found = seen(BEGIN, *then)
    assert found.count(FLUSHED) == flushed
    assert found.checks()[0][1] == (flushed == 0)


def test_evictions_count_where_a_drills_keys_may_be_evicted() -> None:
    more = replace(BEGIN, evicted=9)
    assert (seen(BEGIN, more).count(EVICTED), seen(BEGIN, more).evicts) == (2, False)
    assert not seen(BEGIN, replace(more, maxmemory=1, policy="volatile-lru")).evicts
    late = seen(BEGIN, more, replace(more, maxmemory=1, policy="allkeys-lru"))
    assert late.evicts, "who sets the policy between two looks may have done so before keys were evicted"
    assert late.checks()[1][1:] == (False, "2 keys were evicted on h:1")


def test_two_that_lead_at_once() -> None:
    found = Removals()
    for at_s, leading in enumerate(([1], [1, 2], [1, 2], [2], [1, 2])):
        for number in (1, 2):
            found.see(f"h:{number}", replace(BEGIN, leads=number in leading), at_s)
    assert found.two_primaries_s == 1
    found.miss("h:1", 5)
    found.see("h:2", BEGIN, 9)
    assert found.two_primaries_s == 1
