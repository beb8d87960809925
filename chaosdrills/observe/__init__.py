"""Watching from the client's side: the observer process, its record, and the control that drives it.

The observer runs in a process and session of its own, sends at a stated rate, polls endpoints that users need and
samples counts of self-healers beside that, writes every operation, poll, sample and mark to an append-only record, and
ends by itself, record intact, when `chaos` dies. Nothing here injects anything, and nothing here judges: figures come
from `chaosdrills.core`, computed from the record alone.

Entry modules (`control`, `probes`, `actions`) may import chaoslib; the others may not. No module here imports a
driver: a service's workload is named by its import path and loaded in the observer process.
"""
