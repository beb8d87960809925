"""A lab fault hits the lab that is written down, and only if the experiment talks to it."""

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults.lab import is_lab, reachable_lab
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster

ENDPOINT = "127.0.0.1:29092,127.0.0.1:29093"


@pytest.fixture
def written_down(state):
    nodes.save(Cluster("kafka", ENDPOINT, []))


@pytest.mark.usefixtures("written_down")
@pytest.mark.parametrize("endpoint", [ENDPOINT, "127.0.0.1:29093, 127.0.0.1:29092", "127.0.0.1:29092"])
def test_the_labs_own_endpoint_in_any_order_or_part_of_it(endpoint):
    assert reachable_lab("kafka", endpoint).endpoint == ENDPOINT
    assert is_lab("kafka", endpoint)


@pytest.mark.usefixtures("written_down")
@pytest.mark.parametrize("endpoint", ["kafka.example:9092", ENDPOINT + ",kafka.example:9092", "", ","])
def test_any_other_endpoint_is_refused_with_the_two_other_ways(endpoint):
    with pytest.raises(UsageError, match="a lab fault hits nothing but the lab") as raised:
        reachable_lab("kafka", endpoint)
    assert "your own command" in raised.value.hint
    assert "chaosk8s" in raised.value.hint
    assert "'faults' of the observe control" in raised.value.hint
    assert not is_lab("kafka", endpoint)


def test_without_a_lab_nothing_is_reachable(state):
    with pytest.raises(UnavailableError, match="there is no kafka lab") as raised:
        reachable_lab("kafka", ENDPOINT)
    assert raised.value.hint.startswith("run 'chaos drills lab up kafka'.")
    assert not is_lab("kafka", ENDPOINT)
