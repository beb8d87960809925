"""What a server's answer, or its silence, says about an insert.

Each insert is a transaction of its own: Parse once, then Bind, Execute and Sync. CommandComplete comes before the
commit and ReadyForQuery after it, so that only ReadyForQuery acknowledges. How a write ends:

- ReadyForQuery, and nothing else but CommandComplete before it: `OK`. The commit is durable as far as
  `synchronous_commit` and `synchronous_standby_names` promise.
- ReadyForQuery after the warning of SyncRepWaitForLSN that the wait for synchronous replication was cancelled:
  `UNKNOWN`. It is committed here, and perhaps nowhere else. (syncrep.c; the text is translated, the function's name in
  the message is not.)
- An error of severity ERROR whose SQLSTATE is of a class in `ROLLED_BACK`: `FAILED`. The server answers an ERROR only
  while the transaction can still be rolled back, and rolls it back (xact.c: what goes wrong once the commit record is
  written is a PANIC).
- The other SQLSTATEs: `UNKNOWN`. Classes 08 (connection), 57 but for query_canceled (the server ends), 58 (system) and
  XX (internal) may come from something between us and the server, or while it falls over; 40003 and 08007 say in so
  many words that nobody knows.
- FATAL and PANIC, an end of the connection, or silence until the watchdog hangs up: `UNKNOWN` for all that was sent and
  not acknowledged; `FAILED` for what was still waiting to be sent.
"""

from chaosdrills.core.history import Outcome
from chaosdrills.timescaledb.client import DiagnosticField, PGresult, error_of

# The classes of SQLSTATE that a server raises before the commit.
ROLLED_BACK = frozenset(
    {"0A", "22", "23", "25", "26", "27", "28", "2B", "34", "3D", "3F", "40", "42", "44", "53", "54", "55", "P0"}
)
UNKNOWN_ALL_THE_SAME = frozenset({"40003"})
QUERY_CANCELED = "57014"
CANCELLED_WAIT = b"SyncRepWaitForLSN"
NOT_WRITABLE = frozenset({"25006"})
"""The SQLSTATEs of a server that does not take writes (any more): another one is to be looked for."""


def outcome_of(result: PGresult) -> Outcome:
    """The outcome of an insert that was answered with an error."""
    severity = result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED) or b""
    sqlstate, _ = error_of(result)
    return outcome_of_error(severity.decode(), sqlstate)


def outcome_of_error(severity: str, sqlstate: str) -> Outcome:
    """The outcome that an error of this severity and SQLSTATE means."""
    if severity != "ERROR" or sqlstate in UNKNOWN_ALL_THE_SAME:
        return Outcome.UNKNOWN
    rolled_back = sqlstate[:2] in ROLLED_BACK or sqlstate == QUERY_CANCELED
    return Outcome.FAILED if rolled_back else Outcome.UNKNOWN


def is_cancelled_wait(notice: PGresult) -> bool:
    """Whether a notice says that a commit was not waited for as far as was promised."""
    return (notice.error_field(DiagnosticField.SOURCE_FUNCTION) or b"") == CANCELLED_WAIT
