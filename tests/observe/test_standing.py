"""How polled endpoints stand, by polls in any order."""

import itertools

import numpy as np
import pytest

from chaosdrills.core.history import NO_SEQ, NO_TIME, NS, Outcome
from chaosdrills.observe.standing import Standing, Standings

POLLS = [(1, True), (2, False), (3, False), (4, True), (5, False), (6, False)]


@pytest.mark.parametrize("count", range(1, len(POLLS) + 1))
def test_the_order_in_which_polls_are_told_does_not_matter(count: int) -> None:
    """As far as the latest poll goes; for how long it has been bad may seem longer while an older one is not told."""
    last = [at for at, good in POLLS[:count] if good][-1]
    bad = [at for at, good in POLLS[:count] if not good and at > last]
    expected = {"good": not bad, "bad_s": 10.0 - bad[0] if bad else 0.0}
    ordered, reverse = Standing(), Standing()
    for at, good in POLLS[:count]:
        ordered.poll(at * NS, good)
    for at, good in reversed(POLLS[:count]):
        reverse.poll(at * NS, good)
    assert ordered.at(10 * NS) == expected
    assert reverse.at(10 * NS) == expected


def test_whatever_the_order_good_is_what_the_latest_poll_was() -> None:
    for told in itertools.permutations(POLLS[:4]):
        standing = Standing()
        for number, (at, good) in enumerate(told, 1):
            standing.poll(at * NS, good)
            latest = max(told[:number])
            assert standing.at(10 * NS)["good"] is latest[1], told[:number]


def test_slow_is_bad_and_nothing_is_not_known() -> None:
    standings = Standings(["app", "shop", "new"], NS)
    standings.polls(
        np.array(
            [
                (0, NO_SEQ, 1 * NS, 2 * NS, Outcome.OK),
                (1, NO_SEQ, 1 * NS, 2 * NS + 1, Outcome.OK),
                (0, NO_SEQ, 3 * NS, NO_TIME, Outcome.UNKNOWN),
            ]
        )
    )
    assert standings.at(5 * NS) == {
        "app": {"good": False, "bad_s": 2.0},
        "shop": {"good": False, "bad_s": 4.0},
        "new": {"good": None, "bad_s": 0.0},
    }
