"""A storm: a plan of random faults and heals, the same for the same seed.

Every `every_s` one more node is hurt, if one is well; after each fault every hurt node is healed by chance, some time
before the next. Any number of nodes may be hurt at once, all of them too: with acks=all, a replication factor of 3,
min.insync.replicas 2 and no unclean election, dead brokers may cost time and nothing else. There are two rules. A heal
leaves a majority well, for a single broker of three does not come up by itself. And a broker is stopped in good order
only where a majority is left, for without one it does not end.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

HEAL_CHANCE = 0.5
ORDERLY = ("stop",)  # faults that a node takes part in
WITHIN = (0.2, 0.9)  # of the time until the next fault


@dataclass(frozen=True)
class Step:
    """At `at_s` seconds after the storm's begin the fault `kind` is done to the nodes, or healed on them."""

    at_s: float
    deed: Literal["fault", "heal"]
    nodes: tuple[int, ...]
    kind: str = ""


def plan(seed: int, seconds: float, every_s: float, nodes: Sequence[int], kinds: Sequence[str]) -> list[Step]:
    """The steps of a storm of `seconds`, in their order."""
    rng = random.Random(seed)
    hurt: list[int] = []
    steps: list[Step] = []
    for number in range(1, int(seconds / every_s) + 1):
        at_s = number * every_s
        well = [node for node in nodes if node not in hurt]
        possible = [kind for kind in kinds if kind not in ORDERLY or len(hurt) < _spare(len(nodes))]
        if well and possible:
            node, kind = rng.choice(well), rng.choice(possible)
            hurt.append(node)
            steps.append(Step(at_s, "fault", (node,), kind))
        healed = _to_heal(rng, hurt, len(nodes))
        if healed:
            steps.append(Step(round(at_s + every_s * rng.uniform(*WITHIN), 3), "heal", healed))
            hurt = [node for node in hurt if node not in healed]
    return steps


def _to_heal(rng: random.Random, hurt: Sequence[int], nodes: int) -> tuple[int, ...]:
    """Those of `hurt` that are healed now, in the order in which they were hurt: none, or enough for a majority."""
    chosen = [node for node in hurt if rng.random() < HEAL_CHANCE]
    if not chosen:
        return ()
    too_many = len(hurt) - len(chosen) - _spare(nodes)
    more = [node for node in hurt if node not in chosen][: max(0, too_many)]
    return tuple(node for node in hurt if node in chosen or node in more)


def _spare(nodes: int) -> int:
    """How many of `nodes` may be missing from a majority."""
    return (nodes - 1) // 2
