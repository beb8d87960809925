"""Marks in pairs: what began and did not end."""

from chaosdrills.core.history import History


def all_ended(history: History, what: str) -> bool:
    """Whether every `<what>_begin` has an `<what>_end` of its own, at or after it."""
    instants = [(at, 0) for at in history.marks_named(f"{what}_begin")]
    instants += [(at, 1) for at in history.marks_named(f"{what}_end")]
    pending = 0
    for _, ended in sorted(instants):
        pending = max(0, pending - 1) if ended else pending + 1
    return pending == 0
