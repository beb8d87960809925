"""Injecting: lock, heal log, mark, deed, mark: nothing is done that cannot be undone, or that leaves no evidence."""

from collections.abc import Sequence

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import heal_log, lock, marking
from chaosdrills.faults.fault import Fault, Target
from chaosdrills.faults.healing import release_when_healed, sweep


def inject(fault: Fault, targets: Sequence[Target]) -> str:
    """Hit all `targets`, in order, as one fault; returns what was hit, as marked.

    `fault_begin` is in the record before the first deed, `fault_end` only after the last succeeded. Raises
    `UnavailableError`, having hit nothing, if another drill has faults outstanding, if an earlier one's are not healed,
    if a target does not run, or if heal log or mark cannot be written. Raises with its heal log entries kept if a deed
    itself fails: there is no `fault_end` then.
    """
    what = " and ".join(fault.describe(target) for target in targets)
    lock.hold(marking.drill())
    try:
        _refuse_if_hurt(targets[0].service)
        for target in targets:
            fault.check(target)
        entries = _write_down(fault, targets, what)
    except BaseException:
        release_when_healed()
        raise
    try:
        for target in targets:
            fault.inject(target)
    finally:
        heal_log.under_way.difference_update(entry.id for entry in entries)
    marking.mark("fault_end", what)
    return what


def _refuse_if_hurt(service: str) -> None:
    """Raise if a dead run left `service` broken: what is measured on it would not be this fault's doing."""
    left = sweep(service)
    if left:
        raise UnavailableError(
            f"an earlier drill left {service} broken ({', '.join(left)}); nothing was injected.",
            "run 'chaos drills heal' first.",
        )


def _write_down(fault: Fault, targets: Sequence[Target], what: str) -> list[heal_log.Entry]:
    """Put all targets into the heal log and `fault_begin` into the record; neither if one of it fails."""
    entries: list[heal_log.Entry] = []
    try:
        for target in targets:
            entries.append(heal_log.plan(fault.name, target, marking.drill()))
            heal_log.under_way.add(entries[-1].id)
        marking.mark("fault_begin", what)
    except BaseException:
        for entry in entries:
            heal_log.under_way.discard(entry.id)
            heal_log.remove(entry)
        raise
    return entries
