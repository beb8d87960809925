"""What an experiment's own heal undoes: what it did itself, and all of the lab's if that is its cluster."""

from collections.abc import Callable

from chaosdrills.faults.command import Command
from chaosdrills.faults.heal_log import Entry
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.lab import is_lab
from chaosdrills.host.nodes import load


def heal_own(service: str, servers: str, wanted: Callable[[Entry], bool] = lambda entry: True) -> dict[str, int]:
    """Heal the entries that are `wanted`: of commands those of this drill, and those of the lab if this is its cluster.

    `servers` are the experiment's, empty if it has none. What an earlier drill left in the lab, or has done elsewhere,
    is not this drill's to heal, and its marks would be no evidence of it. Returns `{"healed", "nothing_to_do"}`. Raises
    `UnavailableError` for what is left.
    """
    elsewhere = bool(servers) and load(service) is not None and not is_lab(service, servers)

    def ours(entry: Entry) -> bool:
        return entry.mine if entry.fault == Command.name else not (elsewhere or entry.held)

    healing = heal_outstanding(service, lambda entry: ours(entry) and wanted(entry))
    healing.demand()
    return {"healed": healing.count("healed"), "nothing_to_do": healing.count("nothing to do")}
