"""Recovery while it happens: the judge's own definition, on what the record holds so far."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chaosdrills.core.freshness import freshness_of
from chaosdrills.core.history import NO_SEQ, NS, History, Mark, Operations, Outcome, by_stream, to_ns, to_s
from chaosdrills.core.parameters import Parameters
from chaosdrills.core.recovery import Recovery, recovery_of
from chaosdrills.errors import UnavailableError
from chaosdrills.observe.reading import read_record

FLUSH_NS = NS // 2  # the observer has written what it knows within this


class NoBaseline(UnavailableError):
    """Recovery cannot be known, however long one waits."""


def restored_after_s(recovery: Recovery) -> float | None:
    """Seconds from the last episode's begin until service was restored, as far as is seen now; None if it is not."""
    if not recovery.episodes or recovery.episodes[-1].restored_ns is None:
        return None
    last = recovery.episodes[-1]
    return to_s((last.restored_ns or 0) - last.begin_ns)


def fresh_after_s(history: History, recovery: Recovery, parameters: Parameters) -> float | None:
    """Seconds from the last episode's begin until data was fresh again, as far as is seen now; None if it is not.

    Nor is it while some stream's readers have not seen a write that was due after the last fault or heal: readers that
    died just now still look fresh for `fresh_s`.
    """
    last = recovery.episodes[-1]
    took_ns = freshness_of(history, (last,), (last.begin_ns, last.end_ns), parameters).actual_ns
    if took_ns is None or not _read_on(history, last.end_ns):
        return None
    return to_s(took_ns)


def _read_on(history: History, until_ns: int) -> bool:
    """Whether by `until_ns` readers of every stream had seen an acknowledged write, due after all marks of a fault."""
    since_ns = max(history.marks_named("fault_begin", "fault_end", "heal_begin", "heal_end"))
    reads = by_stream(history.reads.select(history.reads.completed_ns <= until_ns))
    for stream, written in by_stream(history.writes).items():
        due = written.select((written.outcome == Outcome.OK) & (written.invoked_ns > since_ns))
        if not len(due) or _newest(reads.get(stream)) < int(due.seq.min()):
            return False
    return True


def _newest(reads: Operations | None) -> int:
    """The newest seq that was seen."""
    return NO_SEQ if reads is None else int(np.max(reads.seq[reads.outcome == Outcome.OK], initial=NO_SEQ))


def lacking(figures: Mapping[str, Any], want_s: float) -> str:
    """What a baseline of `want_s` still lacks now: clean service, or an endpoint that is good; empty if nothing."""
    if figures["clean_s"] < want_s:
        return f"{figures['clean_s']:.1f} s of it are there, {want_s:g} s are needed"
    for name, one in figures.get("endpoints", {}).items():
        if not one["good"]:
            return f"the endpoint {name} is not seen good: {one['why'] or 'no answer yet'}"
    return ""


def baseline_lacks(figures: Mapping[str, Any], want_s: float) -> str:
    """The same before anything is injected, when each count that is watched must be seen too."""
    if why := lacking(figures, want_s):
        return why
    unseen = (
        f"the count of {name} is not seen: {it['why']}" for name, it in figures.get("watches", {}).items() if it["why"]
    )
    return next(unseen, "")


def lag_ns(parameters: Parameters) -> int:
    """How long ago something was due whose outcome is in the record now, if it has a good one."""
    return to_ns(parameters.slow_s) + FLUSH_NS


def so_far(history: History, now_ns: int) -> History:
    """The record of a running load, as if the load had ended at `now_ns` (on its clock).

    Operations in flight are in no record yet: without an end of its own, a service that answers nothing would look as
    if nobody had asked.
    """
    return replace(history, marks=(*history.marks, Mark("load_end", now_ns)))


def wait_restored(
    record: Path,
    parameters: Parameters,
    timeout_s: float,
    clock_ns: Callable[[], int],
    poll_s: float = 0.5,
    fresh: bool = False,
) -> float | None:
    """Wait until the service stays restored; returns its RTO so far in seconds, None after `timeout_s`.

    With `fresh`, also until readers see fresh data, and the longer of the two is returned.

    `clock_ns` tells the instant now on the record's clock, and raises if the observer is gone. What was due within
    `slow_s` may still become good, so it is not looked at yet. The pause between looks grows with what a look costs.
    Raises `NoBaseline` at once if there is none: what comes later cannot give one.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        begun = time.monotonic()
        until_ns = clock_ns() - lag_ns(parameters)
        history = so_far(read_record(record), until_ns)
        recovery = recovery_of(history, parameters)
        _require_baseline(recovery, parameters)
        took_s = restored_after_s(recovery) if _begun_before(history, until_ns) else None
        if fresh and took_s is not None:
            fresh_s = fresh_after_s(history, recovery, parameters)
            took_s = None if fresh_s is None else max(took_s, fresh_s)
        now = time.monotonic()
        if took_s is not None:
            return took_s
        if now >= deadline:
            return None
        time.sleep(min(max(poll_s, 5 * (now - begun)), max(0.0, deadline - now)))


def wait_good(look: Callable[[], Mapping[str, Any]], deadline: float, poll_s: float = 0.5) -> str:
    """Wait until each polled endpoint is good in the figures of `look`, or until `deadline` (of the monotonic clock).

    Returns which one is bad then, and why; empty if none is.
    """
    while why := lacking(look(), 0.0):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return why
        time.sleep(min(poll_s, left_s))
    return ""


def wait_users(
    look: Callable[[], Mapping[str, Any]], took_s: float, deadline: float, say: Callable[[str], None]
) -> None:
    """The same where the service was restored after `took_s`: it is no heal that must help its users.

    Raises `UnavailableError` if they cannot go on by `deadline`.
    """
    why = lacking(look(), 0.0)
    if why:
        say(f"the service is restored, {took_s:.1f} s after the fault; waiting for its users: {why}")
        why = wait_good(look, deadline)
    if why:
        raise UnavailableError(
            f"the service was restored after {took_s:.1f} s, but not for its users: {why}.",
            "look at the application's own log: it may keep dead connections, or be slow to make new ones.",
        )


def _begun_before(history: History, until_ns: int) -> bool:
    """Whether the last fault or heal began by then: what recovered from an earlier one is no answer to it."""
    return max(history.marks_named("fault_begin", "heal_begin"), default=0) < until_ns


def _require_baseline(recovery: Recovery, parameters: Parameters) -> None:
    """Raise once all is known that was due before the first fault, and was not clean for long enough."""
    seen = recovery.fault_ns is not None and (recovery.load_end_ns or 0) > recovery.fault_ns
    if seen and recovery.baseline is None:
        raise NoBaseline(
            f"under {parameters.stable_s:g} s of clean service before the fault, so recovery cannot be known.",
            "run the drill again; observer.log and the record tell what was bad just before the fault.",
        )
