"""Spans of time as pairs of int64 arrays, and which instants lie in them."""

import numpy as np

from chaosdrills.core.history import Bools, Ints

FAR_NS = 2**62  # an end that never came


def covered(instants: Ints, after: Ints, until: Ints) -> Bools:
    """Which of the ascending `instants` lie in at least one half-open span (after, until]."""
    chosen = until > after
    first = np.searchsorted(instants, after[chosen], side="right")
    last = np.searchsorted(instants, until[chosen], side="right")
    size = len(instants) + 1
    depth = np.bincount(first, minlength=size) - np.bincount(last, minlength=size)
    return np.asarray(np.cumsum(depth)[:-1] > 0)


def union(begins: Ints, ends: Ints) -> list[tuple[int, int]]:
    """Overlapping or touching spans [begin, end] joined, ascending."""
    joined: list[tuple[int, int]] = []
    order = np.lexsort((ends, begins))
    for begin, end in zip(begins[order].tolist(), ends[order].tolist(), strict=True):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined
