"""What is in a record or a history, in short."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chaosdrills.core.history import History, Operations, Outcome, to_s


def describe(history: History, size_bytes: int | None = None) -> dict[str, Any]:
    """What is in `history` as a JSON object: header, streams, counts, marks, duration; `bytes` is its file's size.

    `duration_s` is the end's instant, or the latest of all instants where there is no end; null for an empty history.
    """
    return {
        "service": history.service,
        "stream_kind": history.stream_kind,
        "started_at": history.started_at,
        "header": dict(history.header),
        "duration_s": _duration_s(history),
        "ended": history.end_ns is not None,
        "streams": list(history.streams),
        "writes": _count(history.writes),
        "reads": _count(history.reads),
        **_beside("polls", history.poll_streams, history.polls),
        **_beside("samples", history.sample_streams, history.samples),
        "finals": {"streams": len(history.finals), "seqs": sum(len(final.seqs) for final in history.finals.values())},
        "marks": [{"name": mark.name, "at_s": to_s(mark.at_ns), "label": mark.label} for mark in history.marks],
        "notes": [{"at_s": to_s(note.at_ns), "text": note.text} for note in history.notes],
        "bytes": size_bytes,
        "warnings": list(history.warnings),
    }


def _beside(what: str, names: Sequence[str], all_of: Operations) -> dict[str, Any]:
    """What was polled or sampled beside the load, by stream; nothing where nothing was."""
    counts = {name: _count(all_of.select(all_of.stream == number)) for number, name in enumerate(names)}
    return {what: counts} if counts else {}


def _count(operations: Operations) -> dict[str, int]:
    counts = np.bincount(operations.outcome, minlength=len(Outcome)).tolist()
    return {"total": len(operations), **{outcome.name.lower(): counts[outcome] for outcome in Outcome}}


def _duration_s(history: History) -> float | None:
    if history.end_ns is not None:
        return to_s(history.end_ns)
    instants = [each.at_ns for each in history.marks] + [each.at_ns for each in history.notes]
    instants += [final.at_ns for final in history.finals.values()]
    for operations in (history.writes, history.reads, history.polls, history.samples):
        if len(operations):
            instants += [int(operations.invoked_ns.max()), int(operations.completed_ns.max())]
    return to_s(max(instants)) if instants else None
