"""A planned rolling restart: each broker in turn is stopped, started, and waited for until all replicas are in sync.

Each stop is a fault of its own, in the heal log before it is done, and each start is its heal: whatever ends a restart
in the middle, what is down then is started by `heal_brokers` or ``chaos drills heal``.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from chaosdrills.errors import DrillError, UnavailableError, UsageError
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.roles import VIEW_TIMEOUT_S, Chosen, Wish, choose
from chaosdrills.kafka.targeting import SERVICE, Means, fault_of, lab_of, lacking, targets_of, whole

POLL_S = 0.2
SAY_AGAIN_S = 5.0
ROLE = "restart"

Say = Callable[[str], None]


def restart(wanted: Sequence[int], means: Means, connection: Connection, in_sync_s: float, say: Say) -> list[int]:
    """Restart the brokers `wanted` (none: all); returns them in the order in which it was done.

    Raises `UnavailableError`, having done nothing, if the cluster is not in sync before, and later if a broker does not
    stop, does not start, or if replicas are not in sync again `in_sync_s` after it: brokers after it are left alone.
    """
    lacks = lacking(connection)
    if lacks:
        raise UnavailableError(
            f"the cluster is degraded already ({lacks}): nothing was restarted.", "mend it first, then restart."
        )
    everyone = frozenset(Admin(connection).view(VIEW_TIMEOUT_S).brokers)
    order = order_of(wanted, everyone, means, connection)
    say(f"restarting {len(order)} brokers, one at a time: {', '.join(map(str, order))}")
    for number, broker in enumerate(order, start=1):
        label = f"broker {broker} (rolling restart, {number} of {len(order)})"
        _restart(Chosen(broker, label), means, connection, say)
        _wait_in_sync(label, connection, everyone, in_sync_s, say)
    return order


def order_of(wanted: Sequence[int], known: Iterable[int], means: Means, connection: Connection) -> list[int]:
    """The brokers `wanted` (none: all that are `known`) in the order in which they are restarted.

    By their ids, and the active controller last, so that it moves but once; where it cannot be told, by their ids.
    Raises `UsageError` for one that is not there.
    """
    known = sorted(known)
    for broker in wanted:
        if broker not in known:
            raise UsageError(f"the cluster has no broker {broker}.", f"choose from {', '.join(map(str, known))}.")
    if means.target == "command" and not wanted:
        raise UsageError("no broker is named, and by command not all are meant unasked.", "give 'brokers', their ids.")
    brokers = sorted(set(wanted)) or known
    try:
        [controller] = choose(Wish("controller"), lab_of(means, connection), connection)
    except DrillError:
        return brokers
    return sorted(brokers, key=lambda broker: (broker == controller.node_id, broker))


def brokers_of(given: Sequence[object]) -> list[int]:
    """The ids that an action was given. Raises `UsageError`."""
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise UsageError(f"brokers is {given!r}.", "give a list of ids; none for all.")
    return [whole("a broker's id", broker, 0) for broker in given]


def _restart(chosen: Chosen, means: Means, connection: Connection, say: Say) -> None:
    """Stop one broker and start it again."""
    fault = fault_of("stop", means)
    [target] = targets_of("stop", ROLE, [chosen], means, connection)
    say(fault.describe(target))
    inject(fault, [target])
    say(f"start of {chosen.label}")
    heal_outstanding(SERVICE, lambda entry: entry.mine and entry.target == target).demand()


def _wait_in_sync(label: str, connection: Connection, everyone: Iterable[int], timeout_s: float, say: Say) -> None:
    """Wait until all replicas are in sync, saying what is missing every few seconds."""
    begun, said_s = time.monotonic(), 0.0
    while lacks := _lacks(connection, everyone):
        waited_s = time.monotonic() - begun
        if waited_s >= timeout_s:
            raise UnavailableError(
                f"{label} was restarted, and {timeout_s:g} s later the cluster is not in sync: {lacks}. "
                "The brokers after it were left alone.",
                "look at the brokers' logs.",
            )
        if waited_s >= said_s + SAY_AGAIN_S:
            said_s = waited_s
            say(f"waiting for replicas after {label}: {lacks}")
        time.sleep(POLL_S)
    say(f"in sync {time.monotonic() - begun:.1f} s after {label}")


def _lacks(connection: Connection, everyone: Iterable[int]) -> str:
    try:
        return lacking(connection, everyone)
    except UnavailableError as error:
        return error.message.rstrip(".")
