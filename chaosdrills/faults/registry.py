"""Faults by name, so that any process can heal what another one injected."""

from chaosdrills.faults.command import Command
from chaosdrills.faults.crash_loop import CrashLoop
from chaosdrills.faults.disk import LoseDisk
from chaosdrills.faults.fault import Fault
from chaosdrills.faults.isolate import Isolate
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.pause import Pause
from chaosdrills.faults.restart_storm import RestartStorm
from chaosdrills.faults.slow import Slow
from chaosdrills.faults.stop import Stop

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (Kill(), LoseDisk(), CrashLoop(), RestartStorm(), Stop(), Pause(), Isolate(), Slow(), Command())
}


def find(name: str) -> Fault | None:
    """The fault called `name`; None if this version has none such."""
    return FAULTS.get(name)


def is_local(name: str) -> bool:
    """Whether the fault called `name` is done to this machine's processes; not one that this version does not know."""
    fault = find(name)
    return fault is not None and fault.local
