"""What looks at servers prove: literal sightings, seconds as a reader would say them."""

from chaosdrills.timescaledb.sightings import Sighting, Witness

ONE, TWO = "db-1:5432", "db-2:5432"
SEEN_TWICE = ("one primary at a time", True, "2 servers were looked at 4 times")


def seen(server: str, at_s: float, timeline: int = 1, position: int = 100, **more: object) -> Sighting:
    """A primary that takes writes, looked at for a tenth of a second, unless `more` says otherwise."""
    told: dict[str, object] = {"place": f"at {server}", "started": "then", "leads": True, "takes_writes": True}
    told |= {"clock_s": 1000 + at_s + 0.05, **more}
    begun_ns = round(at_s * 10**9)
    return Sighting(
        server=server, begun_ns=begun_ns, seen_ns=begun_ns + 10**8, timeline=timeline, position=position, **told
    )  # type: ignore[arg-type]


def standby(server: str, at_s: float) -> Sighting:
    return seen(server, at_s, timeline=0, position=0, leads=False, takes_writes=False)


def found(*sightings: Sighting | str) -> list[tuple[str, bool, str]]:
    """The checks after all of these; a name is a server that did not answer."""
    witness = Witness(0)
    for one in sightings:
        if isinstance(one, str):
            witness.miss(one)
        else:
            witness.see(one)
    return witness.checks()


def failed(*sightings: Sighting | str) -> dict[str, str]:
    return {name: detail for name, ok, detail in found(*sightings) if not ok}


def test_nobody_was_looked_at() -> None:
    assert found() == found(ONE, TWO) == []


def test_one_leads_and_the_other_follows() -> None:
    assert found(seen(ONE, 0), standby(TWO, 0), seen(ONE, 1), standby(TWO, 1)) == [SEEN_TWICE]


def test_two_that_take_writes_at_once() -> None:
    looks = [seen(ONE, 0), seen(TWO, 0.2, 2), seen(ONE, 1), seen(TWO, 1.2, 2), seen(ONE, 2)]
    text = f"two primaries: {ONE} (timeline 1) and {TWO} (timeline 2) both took writes from 0.3 s to 1.2 s"
    assert failed(*looks) == {"one primary at a time": text}
    longer = [*looks, seen(TWO, 2.2, 2), ONE, seen(TWO, 3, 2)]
    assert failed(*longer) == {"one primary at a time": text.replace("1.2 s", "2.0 s")}


def test_two_primaries_are_not_forgotten_whatever_follows() -> None:
    looks = [seen(ONE, 0), seen(TWO, 0.2, 2), seen(ONE, 1), seen(TWO, 1.2, 2), standby(ONE, 2)]
    flaps = [it for at in range(3, 103) for it in (seen(TWO, at, 2), TWO)]
    text = f"two primaries: {ONE} (timeline 1) and {TWO} (timeline 2) both took writes from 0.3 s to 1.0 s"
    assert failed(*looks, *flaps) == {"one primary at a time": text}


def test_a_primary_that_lasts_is_compared_whatever_came_meanwhile() -> None:
    flaps = [it for at in range(1, 101) for it in (seen(ONE, at), ONE)]
    text = f"two primaries: {TWO} (timeline 2) and {ONE} (timeline 1) both took writes from 101.1 s to 102.0 s"
    looks = [seen(TWO, 0, 2), *flaps, seen(ONE, 101), seen(ONE, 102), seen(TWO, 102, 2)]
    assert failed(*looks) == {"one primary at a time": text}


def test_a_second_primary_that_takes_writes_says_more_than_one_that_only_led() -> None:
    led = [seen(TWO, 0, 2), *(seen(ONE, at, takes_writes=False) for at in (1, 12)), seen(TWO, 12, 2)]
    assert " both led from 1.1 s to 12.0 s" in failed(*led)["one primary at a time"]
    wrote = [*led, seen(ONE, 13), seen(ONE, 14), seen(TWO, 14, 2)]
    assert " both took writes from 13.1 s to 14.0 s" in failed(*wrote)["one primary at a time"]


def test_a_failover_is_no_second_primary() -> None:
    looks = [seen(ONE, 0), standby(TWO, 0), seen(ONE, 1), ONE, seen(TWO, 3, 2), ONE, seen(TWO, 4, 2), standby(ONE, 5)]
    assert failed(*looks) == {}


def test_a_stale_primary_that_was_seen_once_proves_nothing() -> None:
    looks = [seen(TWO, 0, 2), ONE, seen(ONE, 1.5), seen(TWO, 1, 2), ONE, seen(TWO, 2, 2), standby(ONE, 3)]
    assert failed(*looks) == {}


def test_a_stale_primary_that_can_confirm_nothing_is_given_time_to_step_back() -> None:
    looks = [seen(TWO, 0, 2), seen(TWO, 30, 2)]
    stale = [seen(ONE, at, takes_writes=False) for at in (1, 10)]
    assert failed(*looks[:1], *stale, *looks[1:]) == {}
    text = f"two primaries: {TWO} (timeline 2) and {ONE} (timeline 1) both led from 1.1 s to 12.0 s"
    assert failed(looks[0], *stale, seen(ONE, 12, takes_writes=False), looks[1]) == {"one primary at a time": text}


def test_a_stale_primary_that_nobody_reaches_is_no_second_one() -> None:
    looks = [seen(ONE, 0), seen(ONE, 1), ONE, seen(TWO, 2, 2), ONE, seen(TWO, 3, 2), ONE, seen(ONE, 4), standby(ONE, 5)]
    assert failed(*looks) == {}


def test_two_ways_to_one_server_are_one_primary() -> None:
    ways = [seen(name, at, place="the same") for at in (0, 1, 2) for name in (ONE, TWO)]
    assert failed(*ways) == {}


def test_a_server_that_was_started_again_is_seen_anew() -> None:
    looks = [seen(ONE, 0), seen(TWO, 0.5, 2), seen(ONE, 1, started="later"), seen(TWO, 1.5, 2)]
    assert failed(*looks) == {}


def test_a_server_that_leads_on_a_lower_timeline_went_back() -> None:
    text = f"{ONE} went back from timeline 3 to 2 before 1.1 s: it was put back to an older copy, or is another server"
    assert failed(seen(ONE, 0, 3), seen(ONE, 1, 2)) == {"timelines go on": text}


def test_a_cluster_that_is_led_on_a_lower_timeline_than_before_went_back() -> None:
    looks = [seen(ONE, 0, 3), seen(ONE, 1, 3), ONE, seen(TWO, 2, 2), seen(TWO, 3, 2)]
    text = f"{TWO} (timeline 2) took writes at 2.1 s, after {ONE} (timeline 3): its history is an older one"
    assert failed(*looks) == {"timelines go on": text}
    assert failed(*looks[:-1]) == {}


def test_a_position_that_goes_back_on_one_timeline() -> None:
    before, after = (5 << 32) + 0x2000, (5 << 32) + 0x1FFF
    text = (
        f"{ONE} went back from 5/2000 to 5/1FFF on timeline 1 before 1.1 s: it was put back to an older copy, or has "
        "lost what it had confirmed"
    )
    assert failed(seen(ONE, 0, 1, before), seen(ONE, 1, 1, after)) == {"positions go on": text}
    assert failed(seen(ONE, 0, 1, before), seen(ONE, 1, 1, before)) == {}
    assert failed(seen(ONE, 0, 1, before), standby(ONE, 1), seen(ONE, 2, 2, after)) == {}, "it was rewound"


def test_a_clock_that_jumps() -> None:
    back = seen(ONE, 1, clock_s=1000 - 3600 + 1.05)
    text = f"the clock of {ONE} jumped back by 3600.0 s before 1.1 s"
    assert failed(seen(ONE, 0), back, seen(ONE, 2, clock_s=1000 - 3600 + 2.05)) == {"clocks go on": text}
    assert failed(standby(TWO, 0), seen(TWO, 1, clock_s=1003.5))["clocks go on"].endswith(
        "forward by 2.5 s before 1.1 s"
    )
    assert failed(seen(ONE, 0), seen(ONE, 1, clock_s=1000 + 1.05 - 0.9)) == {}


def test_a_look_that_took_long_tells_little_of_a_clock() -> None:
    slow = Sighting(ONE, f"at {ONE}", "then", 10**9, 4 * 10**9, True, True, 1, 100, 1003.9)
    assert failed(seen(ONE, 0), slow) == {}
