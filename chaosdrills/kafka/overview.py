"""A cluster's health as one look: brokers, controller, partitions."""

import time
from dataclasses import dataclass, replace
from typing import Any

from chaosdrills.errors import UnavailableError
from chaosdrills.kafka import health, partitions, quorum
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.health import Health
from chaosdrills.kafka.partitions import Placed

NO_CONTROLLER = -1
LEAST_S = 1.0


@dataclass(frozen=True)
class Overview:
    """What one look found.

    `under_min_isr` is None where no broker tells what topics ask for (AdminClient asks a broker that may be dead).
    `controller`: a node's id, `NO_CONTROLLER`, or None where nobody was asked.
    """

    health: Health
    partitions: int
    under_min_isr: int | None
    controller: int | None = None

    @property
    def lacks(self) -> str:
        """What makes it unhealthy, in words; empty if nothing does. Leaders that are not preferred do not."""
        found = [
            replace(self.health, not_preferred=0).lacks(),
            f"{self.under_min_isr} partitions below {partitions.MIN_ISR}" if self.under_min_isr else "",
            f"nobody tells {partitions.MIN_ISR}" if self.under_min_isr is None else "",
            "no active controller" if self.controller == NO_CONTROLLER else "",
        ]
        return ", ".join(each for each in found if each)

    def as_dict(self) -> dict[str, Any]:
        """The figures as a flat object."""
        return {
            "healthy": not self.lacks,
            "brokers": self.health.brokers,
            "missing": len(self.health.missing),
            "silent": len(self.health.silent),
            **({} if self.controller is None else {"controller": self.controller}),
            "partitions": self.partitions,
            "under_replicated": self.health.under_replicated,
            **({} if self.under_min_isr is None else {"under_min_isr": self.under_min_isr}),
            "offline": self.health.offline,
            "not_preferred": self.health.not_preferred,
            "lacks": self.lacks,
        }


def overview_of(connection: Connection, timeout_s: float, ask_controller: bool) -> Overview:
    """Look at the whole cluster, within about twice `timeout_s`.

    Raises `DrillError` if no broker answers, or we are refused.
    """
    deadline = time.monotonic() + timeout_s
    admin = Admin(connection)
    placed = partitions.partitions_of(admin.view(timeout_s))

    found = health.look(connection, health.expected_of(connection.bootstrap_servers))
    controller = _controller(connection, max(LEAST_S, deadline - time.monotonic())) if ask_controller else None
    return Overview(found, len(placed), _under_min_isr(admin, placed, timeout_s), controller)


def _under_min_isr(admin: Admin, placed: list[Placed], timeout_s: float) -> int | None:
    try:
        return len(partitions.under_min_isr(placed, partitions.min_isr_of(admin, placed, timeout_s)))
    except UnavailableError:
        return None


def _controller(connection: Connection, timeout_s: float) -> int:
    try:
        return quorum.active_controller(connection, timeout_s)
    except UnavailableError:
        return NO_CONTROLLER
