"""Restart attempts: how often, and how patiently, a self-healer tried to bring a service back.

A self-healer counts its attempts; a *sample* is one look at that count, begun at `invoked_s`. Those that are `ok` are
the *looks*. What a count has grown by since the look before was attempted between the two. Where it has fallen, the
healer was started anew (a *reset*) and counts from 0: the whole new count was attempted since then, and what the old
one may have missed is unseen.

Counted is what may lie between the first fault and the end of load, of each sample stream for itself:

- *attempts*, and *judged*: with, for each reset, as many more as were ever seen between two neighbouring looks. Where a
  sample between two looks is not `ok`, and the count has not fallen, a reset may hide all the same (a healer that keeps
  dying shows the same count in each of its lives): so many more, and the count of before, which may be of another life.
- *per minute*: on average, and the most that may lie within any 60 s.
- *silent*: the longest time between neighbouring looks, from the last one before the fault to the end of load. Silent
  for longer than `fresh_s`, or without a look before the fault, the count is a *lower bound*: a reset may hide in it.
- *backs off*: each gap between attempts is at least `factor` times the one before, or at least `cap_s`; after a gap of
  `cap_s` or more it may begin anew. True or false only where that is certain, wherever between its two looks each
  attempt was made. None else: with fewer than three attempts, a reset, a lower bound, or a sample that is not `ok`
  (what could not be asked for a while may tell late). So that a storm is told by slow looks too, spans of 2, 4, 8, ...
  gaps are compared as well: of a back-off each is `factor` to that power times the one before.

`factor` and `cap_s` are the stream's own, in the header under `watches`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaosdrills.core.history import NS, Bools, History, Ints, Operations, Outcome, to_ns
from chaosdrills.core.parameters import Parameters

FACTOR = 1.5
CAP_S = 30.0
MINUTE_NS = 60 * NS
MOST = 2000  # attempts whose gaps are looked at, the first ones


@dataclass(frozen=True)
class Attempts:
    """What one sample stream shows; None where `why` says that nothing is known.

    `judged` is None where the count is only a lower bound, for which `doubt` is the reason. `gaps_ns` lie between
    attempts as they were seen.
    """

    stream: str
    count: int | None = None
    judged: int | None = None
    mean_per_min: float | None = None
    worst_per_min: int | None = None
    gaps_ns: tuple[int, ...] = ()
    backs_off: bool | None = None
    resets: int = 0
    blind: int = 0  # how often it was looked at in vain between two looks that may hide a reset
    silent_ns: int | None = None
    why: str = ""
    doubt: str = ""

    @property
    def worst_judged(self) -> int | None:
        """The most in a minute, with what may be unseen; None where there is no `judged`."""
        if self.judged is None or self.count is None or self.worst_per_min is None:
            return None
        return self.worst_per_min + self.judged - self.count


@dataclass(frozen=True)
class _Growth:
    """Attempts by the looks between which they were made: `counts` of them after `lo_ns` and up to `hi_ns`."""

    lo_ns: Ints
    hi_ns: Ints
    counts: Ints

    def __len__(self) -> int:
        return len(self.counts)


def attempts_of(
    history: History, fault_ns: int | None, load_end_ns: int | None, parameters: Parameters
) -> tuple[Attempts, ...]:
    """What each sample stream shows of the time from `fault_ns` to `load_end_ns`."""
    if fault_ns is None or load_end_ns is None or load_end_ns <= fault_ns:
        why = "without a fault before the end of load there are no attempts to count"
        return tuple(Attempts(name, why=why) for name in history.sample_streams)
    span, samples = (fault_ns, load_end_ns), history.samples
    return tuple(
        _measured(name, samples.select(samples.stream == number), span, parameters, _patience(history.header, name))
        for number, name in enumerate(history.sample_streams)
    )


def worst_of(found: Sequence[Attempts]) -> Attempts | None:
    """The stream with most attempts; one of which nothing is known before all others. None if there is none."""
    return max(found, key=lambda one: (one.count is None, one.judged is None, one.count or 0), default=None)


def _measured(
    name: str, samples: Operations, span: tuple[int, int], parameters: Parameters, patience: tuple[float, int]
) -> Attempts:
    looks = samples.select((samples.outcome == Outcome.OK) & (samples.seq >= 0))
    looks = looks.select(np.argsort(looks.invoked_ns, kind="stable"))
    if not np.any(looks.invoked_ns < span[1]):
        return Attempts(name, why=f"the count of {name} was never seen")
    growth, resets = _growth(looks, span)
    hidden = _hidden(looks, samples.invoked_ns[samples.outcome != Outcome.OK], span)
    count, most = int(growth.counts.sum()), int(growth.counts.max(initial=1))
    silent_ns = _silent_ns(looks.invoked_ns, span)
    doubt = ""
    if looks.invoked_ns[0] > span[0]:
        doubt = f"the count of {name} was not seen before the fault"
    elif silent_ns > to_ns(parameters.fresh_s):
        doubt = f"the count of {name} was not seen for {silent_ns / NS:.3g} s, longer than {parameters.fresh_s:g} s"
    lo_ns, hi_ns = (np.repeat(ns, _first(growth.counts))[:MOST] for ns in (growth.lo_ns, growth.hi_ns))
    return Attempts(
        name,
        count,
        None if doubt else count + (resets + len(hidden)) * most + int(hidden.sum()),
        count * MINUTE_NS / (span[1] - span[0]),
        _worst_per_min(growth),
        tuple(np.diff(np.maximum.accumulate(hi_ns)).tolist()),
        None if doubt or resets or not _all_seen(samples, span) else _backs_off(lo_ns, hi_ns, *patience),
        resets,
        len(hidden),
        silent_ns,
        doubt=doubt,
    )


def _growth(looks: Operations, span: tuple[int, int]) -> tuple[_Growth, int]:
    """What may have been attempted within `span`, and how many resets there were."""
    change = np.diff(looks.seq)
    counts = np.where(change < 0, looks.seq[1:], change)
    lo_ns, (hi_ns, inside) = looks.invoked_ns[:-1], _between(looks, span)
    grown = inside & (counts > 0)
    return _Growth(lo_ns[grown], hi_ns[grown], counts[grown]), int((inside & (change < 0)).sum())


def _hidden(looks: Operations, in_vain_ns: Ints, span: tuple[int, int]) -> Ints:
    """The count before each pair of neighbouring looks that may hide a reset: one between them saw nothing."""
    so_far = np.searchsorted(np.sort(in_vain_ns), looks.invoked_ns)
    _, inside = _between(looks, span)
    return looks.seq[:-1][inside & (np.diff(so_far) > 0) & (np.diff(looks.seq) >= 0)]


def _between(looks: Operations, span: tuple[int, int]) -> tuple[Ints, Bools]:
    """When each look but the first was answered, and whether what it shows as new may have been within `span`."""
    hi_ns = looks.completed_ns[1:]
    return hi_ns, (hi_ns > span[0]) & (looks.invoked_ns[:-1] < span[1])


def _all_seen(samples: Operations, span: tuple[int, int]) -> bool:
    """Whether every sample within `span` saw a count."""
    inside = (samples.invoked_ns >= span[0]) & (samples.invoked_ns < span[1])
    return bool((samples.outcome[inside] == Outcome.OK).all())


def _silent_ns(looks_ns: Ints, span: tuple[int, int]) -> int:
    """The longest time without a look; where there was none before the fault, from the fault on."""
    before = looks_ns[looks_ns <= span[0]][-1:]
    inside = looks_ns[(looks_ns > span[0]) & (looks_ns < span[1])]
    instants = np.concatenate((before if len(before) else np.array([span[0]]), inside, np.array([span[1]])))
    return int(np.diff(instants).max())


def _worst_per_min(growth: _Growth) -> int:
    """The most attempts that may lie within less than a minute."""
    if not len(growth):
        return 0
    so_far = np.cumsum(growth.counts)
    within = np.searchsorted(growth.lo_ns, growth.hi_ns + MINUTE_NS, side="left")
    return int((so_far[within - 1] - (so_far - growth.counts)).max())


def _first(counts: Ints) -> Ints:
    """The first `MOST` of what is counted, however large a count is."""
    return np.diff(np.minimum(np.cumsum(counts), MOST), prepend=0)


def _backs_off(lo_ns: Ints, hi_ns: Ints, factor: float, cap_ns: int) -> bool | None:
    """Whether attempts, each made after `lo_ns` and up to `hi_ns`, come at growing gaps; None: not certain."""
    if len(hi_ns) < 3:
        return None
    scale = 1
    while 2 * scale < len(hi_ns):
        least, most = _spans(lo_ns, hi_ns, scale)
        patient = (most[:-scale] < cap_ns) & (most[scale:] < cap_ns)
        if np.any(patient & (most[scale:] < np.float64(factor) ** scale * least[:-scale])):
            return False
        scale *= 2
    least, most = _spans(lo_ns, hi_ns, 1)
    certain = (least[1:] >= factor * most[:-1]) | (least[1:] >= cap_ns) | (least[:-1] >= cap_ns)
    return True if certain.all() else None


def _spans(lo_ns: Ints, hi_ns: Ints, scale: int) -> tuple[Ints, Ints]:
    """The least and the most that may lie between each attempt and the `scale`-th after it."""
    return np.maximum(lo_ns[scale:] - hi_ns[:-scale], 0), hi_ns[scale:] - lo_ns[:-scale]


def _patience(header: Mapping[str, Any], name: str) -> tuple[float, int]:
    """`factor` and the cap (ns) of a stream, as far as the header has them."""
    watches = header.get("watches")
    mine = watches.get(name) if isinstance(watches, Mapping) else None
    given = mine if isinstance(mine, Mapping) else {}
    return _number(given.get("factor"), FACTOR, 1.0), to_ns(_number(given.get("cap_s"), CAP_S, 0.0))


def _number(value: Any, default: float, least: float) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and least <= value < 1e6
    return float(value) if usable else default
