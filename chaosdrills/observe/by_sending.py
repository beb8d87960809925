"""What a workload leaves to its sending: what the load thread asks while the load runs, the same for each service."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar


class Sends(Protocol):
    """The sending of a service."""

    @property
    def in_flight(self) -> int: ...

    def oldest_in_flight_ns(self) -> int | None: ...
    def send(self, intended_ns: Sequence[int]) -> None: ...
    def refuse(self, intended_ns: Sequence[int]) -> None: ...
    def poll(self, timeout_s: float) -> None: ...
    def abandon(self) -> None: ...


S = TypeVar("S", bound=Sends)


class BySending(Generic[S]):
    """That part of `chaosdrills.observe.workload.Workload`, for a class that makes `_sending`."""

    _sending: S

    @property
    def in_flight(self) -> int:
        """How many writes have no outcome yet."""
        return self._sending.in_flight

    def oldest_in_flight_ns(self) -> int | None:
        """The intended time of the oldest of them."""
        return self._sending.oldest_in_flight_ns()

    def send(self, intended_ns: Sequence[int]) -> None:
        """One write for each intended time, over the streams in turn."""
        self._sending.send(intended_ns)

    def refuse(self, intended_ns: Sequence[int]) -> None:
        """One operation for each intended time, noted as failed without sending it."""
        self._sending.refuse(intended_ns)

    def poll(self, timeout_s: float) -> None:
        """Serve the service's answers."""
        self._sending.poll(timeout_s)

    def abandon(self) -> None:
        """Give up what is in flight, and its connections."""
        self._sending.abandon()
