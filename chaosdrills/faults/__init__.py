"""Faults: what is done to a service, and the heal that undoes it.

Every fault owns its heal. A fault is in the heal log, on disk, before it is done; a heal is idempotent and may be run
from any folder, by another process, after the one that injected it is dead. One fault a file. Nothing here knows a
service: a target is a process of the lab or the user's own command, chosen by the caller.

What may not happen here: a fault without an explicit target, a signal to a process that is not the one written down
(pid and start time), imports of `chaosdrills.lab` or of a driver.
"""
