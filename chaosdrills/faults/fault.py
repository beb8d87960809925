"""What a fault is: something done to a target, seen by its clients, and undone by a heal of its own."""

from dataclasses import dataclass, field
from typing import Any, Protocol

HEAL_TIMEOUT_S = 90.0
"""How long a heal may take to be seen by a client."""


@dataclass(frozen=True)
class Target:
    """What one fault hits.

    `service` is the room that knows it ("kafka"). `label` is what a reader calls it ("broker 2 (leader of t/0)").
    `role` is why it was chosen ("leader"), so that a later step can name it again. `handle` is JSON, and enough to
    undo the fault from any process: what lies in it is the fault's own business.
    """

    service: str
    label: str
    role: str
    handle: dict[str, Any] = field(default_factory=dict)


class Fault(Protocol):
    """One kind of fault. Its methods raise `chaosdrills.errors.DrillError` and nothing else by intent."""

    @property
    def name(self) -> str:
        """The name in the heal log: one word, never changed once it was released."""
        ...

    @property
    def local(self) -> bool:
        """Whether it is done to processes of this machine: a restart of it, or the end of their lab, undoes it."""
        ...

    def describe(self, target: Target) -> str:
        """What `inject` will hit, for a mark, a log line and a preview: "kill -9 of broker 2 (leader of t/0)"."""
        ...

    def check(self, target: Target) -> None:
        """Raise unless `inject` would hit something now. Changes nothing."""
        ...

    def inject(self, target: Target) -> None:
        """Do it, and return when a client can see it. Raises if nothing was hit."""
        ...

    def needs_heal(self, target: Target) -> bool:
        """Whether `heal` would do something now: false once healed, and when the target's environment is gone."""
        ...

    def heal(self, target: Target) -> bool:
        """Begin to undo it, without waiting; false if there was nothing to do. May be called any number of times."""
        ...

    def wait_healed(self, target: Target, timeout_s: float) -> None:
        """Return when a client is served again. Raises `UnavailableError`, saying what to do, if that takes longer."""
        ...
