"""What a server's answer, or its silence, says about a write.

A write is one command, SET or HSET; where more than the reply is promised, ``WAIT n`` or ``WAITAOF local n`` follows
on the same connection, which Redis answers in turn. How a write ends:

- An answer that is no error, and nothing more promised: `OK`. It is in the primary's memory, and no further.
- The same, and a WAIT that counts n replicas or more (a WAITAOF: both of its numbers): `OK`. Fewer, or a WAIT that is
  answered with an error, as when the server is demoted meanwhile: `UNKNOWN`: it is applied here, and perhaps nowhere
  else.
- An error whose code is in `NOT_APPLIED`: `FAILED`. A server says these before it executes a command.
- Any other error: `UNKNOWN`. It may come from something between us and the server.
- An end of the connection, or silence until the watchdog hangs up: `UNKNOWN` for all that was sent and not answered;
  `FAILED` for what was still waiting to be sent.
"""

from collections.abc import Sequence

from chaosdrills.core.history import Outcome
from chaosdrills.redis.client import Reply, ReplyError, code_of

NOT_APPLIED = frozenset(
    {
        "READONLY", "OOM", "NOREPLICAS", "LOADING", "MISCONF", "NOPERM", "NOAUTH", "WRONGTYPE", "MASTERDOWN", "BUSY",
        "DENIED", "CLUSTERDOWN", "MOVED", "ASK", "TRYAGAIN", "CROSSSLOT", "WRONGPASS",
    }
)  # fmt: skip
"""The codes of errors that a server answers instead of executing a command (processCommand in server.c)."""

NOT_WRITABLE = frozenset({"READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "NOAUTH", "CLUSTERDOWN", "MOVED"})
"""Those of a server that takes no writes for now: a watchful client asks again who leads."""


def outcome_of(answer: Reply) -> Outcome:
    """The outcome of a write by its own answer."""
    if not isinstance(answer, ReplyError):
        return Outcome.OK
    return Outcome.FAILED if code_of(answer) in NOT_APPLIED else Outcome.UNKNOWN


def confirmed(answer: Reply, wanted: Sequence[int]) -> bool:
    """Whether the answer to WAIT (a number) or WAITAOF (two) is what is `wanted`."""
    counts = answer if isinstance(answer, list) else [answer]
    return len(counts) == len(wanted) and all(
        isinstance(it, int) and it >= least for it, least in zip(counts, wanted, strict=True)
    )
