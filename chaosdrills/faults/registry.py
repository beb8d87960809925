"""Faults by name, so that any process can heal what another one injected."""

from chaosdrills.faults.fault import Fault
from chaosdrills.faults.isolate import Isolate
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.slow import Slow

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (Kill(), Isolate(), Slow())}


def find(name: str) -> Fault | None:
    """The fault called `name`; None if this version has none such."""
    return FAULTS.get(name)
