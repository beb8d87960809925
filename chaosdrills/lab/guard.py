"""Ends a lab when its owner dies: ``python -m chaosdrills.lab.guard SERVICE PID START_TICKS``.

A process of its own, in its own session, so that neither Ctrl-C nor the death of the owner takes it along. It waits
for the owner on a pidfd and takes no processor time until then.
"""

import os
import select
import sys

from chaosdrills.host.processes import Identity, is_alive
from chaosdrills.lab.supervision import end_of_owner


def wait_for_death(owner: Identity) -> None:
    """Return once exactly the process `owner` has ended."""
    try:
        handle = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(owner):
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll()
    finally:
        os.close(handle)


def main(arguments: list[str]) -> None:
    """Guard the lab of `arguments`: service, and the owner's pid and start time in clock ticks."""
    service, pid, start_ticks = arguments
    owner = Identity(int(pid), int(start_ticks))
    wait_for_death(owner)
    end_of_owner(service, owner)


if __name__ == "__main__":
    main(sys.argv[1:])
