"""What a failover left behind, from literal sights of the primary's WAL."""

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.timescaledb.failover import _bytes_of
from chaosdrills.timescaledb.lag import CHECK, End, Track, judged

LIMIT = 1000


def test_the_last_sight_of_each_timeline_and_what_came_unseen() -> None:
    track = Track()
    for at_s, timeline, position in ((0.0, 1, 0), (0.1, 1, 100), (0.2, 1, 150), (0.3, 1, 160)):
        track.see(at_s, timeline, position)
    track.miss(0.5, silent=False)
    assert track.ends == {1: End(1, 160, 200)}, "0.2 s at the fastest that was seen, 1000 a second"
    track.miss(20.0, silent=True)
    assert track.ends == {1: End(1, 160, 200)}, "only the first miss tells when it was gone"
    track.see(21.0, 2, 140)
    track.see(21.1, 2, 145)
    assert (track.newest, track.ends) == (2, {1: End(1, 160, 200), 2: End(2, 145, 0)})


def test_a_pace_of_long_ago_is_forgotten() -> None:
    track = Track()
    for at_s, position in ((0.0, 0), (0.1, 1_000_000), (11.0, 1_000_000), (11.1, 1_000_001)):
        track.see(at_s, 1, position)
    track.miss(12.1, silent=False)
    assert track.ends[1] == End(1, 1_000_001, 10)


def test_nobody_knows_how_far_a_primary_came_that_fell_silent_or_was_seen_once() -> None:
    track = Track()
    for at_s, position in ((0.0, 0), (0.1, 100)):
        track.see(at_s, 1, position)
    track.miss(1.1, silent=True)
    assert track.ends == {1: End(1, 100, None)}
    track.see(2.0, 1, 300)
    assert track.ends == {1: End(1, 300, 0)}, "it was only slow"
    track.miss(2.1, silent=False)
    assert track.ends == {1: End(1, 300, None)}, "no pace is known since it was seen again"


def test_before_anything_was_seen_nothing_is_known() -> None:
    track = Track()
    track.miss(1.0, silent=False)
    assert (track.ends, track.newest) == ({}, 0)
    assert judged([], {1: 100}, 0, LIMIT) == (CHECK, False, "not known: the primary's WAL was never seen")


def test_a_primary_that_only_was_away_is_no_failover() -> None:
    assert judged([End(3, 900, 50)], {1: 100, 2: 200}, 0, LIMIT) is None


@pytest.mark.parametrize(
    ("end", "ok", "said"),
    [
        (End(1, 5_900, 100), True, "what was promoted lacked 900 bytes of WAL, or up to 100 more; 1,000 are allowed"),
        (End(1, 4_000, 0), True, "what was promoted lacked 0 bytes of WAL, or up to 0 more; 1,000 are allowed"),
        (
            End(1, 5_900, 101),
            False,
            "not known: what was promoted lacked 900 bytes of WAL, or up to 101 more, and 1,000 are allowed",
        ),
        (
            End(1, 6_001, 0),
            False,
            "what was promoted lacked 1,001 bytes of WAL, or up to 0 more: more than the 1,000 that are allowed",
        ),
        (
            End(1, 5_900, None),
            False,
            "not known: what was promoted lacked 900 bytes of WAL, or any number of them more, for nobody saw how far "
            "timeline 1 came",
        ),
        (
            End(1, 6_001, None),
            False,
            "what was promoted lacked 1,001 bytes of WAL, or any number of them more: more than the 1,000 that are "
            "allowed",
        ),
    ],
)
def test_what_lacked_against_the_limit(end: End, ok: bool, said: str) -> None:
    assert judged([end, End(2, 5_100, 0)], {1: 5_000}, 0, LIMIT) == (CHECK, ok, said)


def test_the_worst_of_several_failovers_counts() -> None:
    found = judged([End(3, 9_000, 0), End(2, 7_700, 0), End(1, 5_100, 0)], {1: 5_000, 2: 7_000}, 0, LIMIT)
    assert found == (CHECK, True, "what was promoted lacked 700 bytes of WAL, or up to 0 more; 1,000 are allowed")


def test_without_the_point_where_a_timeline_was_left_nothing_is_known() -> None:
    found = judged([End(1, 5_100, 0), End(2, 7_700, 0), End(3, 9_000, 0)], {1: 5_000}, 0, LIMIT)
    assert found == (CHECK, False, "not known: Patroni's history does not say where timeline 2 was left")


def test_of_a_timeline_that_nobody_saw_nothing_is_known() -> None:
    found = judged([End(1, 5_100, 0), End(3, 9_000, 0)], {1: 5_000, 2: 7_000}, 0, LIMIT)
    assert found == (CHECK, False, "not known: nobody saw how far timeline 2 came")
    before = judged([End(3, 9_000, 0)], {1: 5_000, 2: 7_000}, 0, LIMIT)
    assert before is None, "those were left before the drill"


def test_what_is_beyond_the_limit_is_said_whatever_else_is_not_known() -> None:
    found = judged([End(1, 6_100, 0), End(2, 7_500, 5_000), End(3, 9_000, 0)], {1: 5_000, 2: 7_000}, 0, LIMIT)
    assert found is not None
    assert found[2].startswith("what was promoted lacked 1,100 bytes of WAL, or up to 0 more: more than")


@pytest.mark.parametrize(("told", "limit_bytes"), [(None, 1_048_576), (5, 5), ("1000", 1000), (0, 0)])
def test_the_limit_that_patroni_tells(told: object, limit_bytes: int) -> None:
    assert _bytes_of(told) == limit_bytes


@pytest.mark.parametrize("told", ["1MB", True, -1, 1.5, []])
def test_a_limit_that_is_no_number_of_bytes(told: object) -> None:
    with pytest.raises(UsageError, match=r"maximum_lag_on_failover is .*, and is judged as a number of bytes only"):
        _bytes_of(told)


def test_a_standby_that_was_too_far_behind_to_be_promoted() -> None:
    ends = [End(1, 5_000, 2_000)]
    why = "Patroni promoted nobody: every standby lacked 1,001 bytes of WAL or more, and 1,000 are allowed"
    assert judged(ends, {}, 1_000, LIMIT) is None
    assert judged(ends, {}, 1_001, LIMIT) == (CHECK, False, why)
    led_again = [*ends, End(2, 9_000, 0)]
    assert judged(led_again, {1: 5_500}, 1_001, LIMIT) == (CHECK, False, why), "the old primary is no standby"
    found = judged(led_again, {1: 3_999}, 1_001, LIMIT)
    assert found is not None
    assert found[2].startswith("what was promoted lacked 1,001 bytes of WAL, or up to 2,000 more: more than")


def test_what_is_there_cannot_have_come_unseen() -> None:
    found = judged([End(1, 5_000, 300), End(2, 9_000, 0)], {1: 5_200}, 0, LIMIT)
    assert found == (CHECK, True, "what was promoted lacked 0 bytes of WAL, or up to 100 more; 1,000 are allowed")
