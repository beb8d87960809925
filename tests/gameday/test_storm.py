"""The plan of a storm: the same for the same seed, and never more broken than a heal can mend."""

import pytest

from chaosdrills.gameday.storm import plan

NODES = (1, 2, 3)
KINDS = ("kill", "stop", "pause")


def test_the_seed_is_the_plan() -> None:
    assert plan(7, 600, 10, NODES, KINDS) == plan(7, 600, 10, NODES, KINDS)
    assert plan(7, 600, 10, NODES, KINDS) != plan(8, 600, 10, NODES, KINDS)
    assert plan(7, 9, 10, NODES, KINDS) == []
    assert {step.deed for step in plan(7, 600, 10, NODES, ("stop",))} == {"fault", "heal"}


@pytest.mark.parametrize("seed", range(50))
def test_steps_are_in_order_and_hit_what_is_well(seed: int) -> None:
    steps, hurt = plan(seed, 600, 10, NODES, KINDS), set()
    assert [step.at_s for step in steps] == sorted(step.at_s for step in steps)
    for step in steps:
        if step.deed == "fault":
            assert not hurt & set(step.nodes)
            assert step.kind in KINDS
            assert step.kind != "stop" or not hurt, "without a majority a broker does not stop in good order"
            hurt |= set(step.nodes)
        else:
            assert set(step.nodes) <= hurt
            hurt -= set(step.nodes)
            assert len(hurt) <= 1, "a heal leaves a majority well"


def test_storms_reach_every_number_of_hurt_nodes_and_every_kind() -> None:
    most, kinds = set(), set()
    for seed in range(20):
        hurt = 0
        for step in plan(seed, 600, 10, NODES, KINDS):
            hurt += len(step.nodes) if step.deed == "fault" else -len(step.nodes)
            kinds.add(step.kind)
            most.add(hurt)
    assert most == {0, 1, 2, 3}
    assert kinds == {*KINDS, ""}
