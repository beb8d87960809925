"""What an error's severity and SQLSTATE say about an insert."""

import pytest

from chaosdrills.core.history import Outcome
from chaosdrills.timescaledb.outcomes import outcome_of_error


@pytest.mark.parametrize(
    ("severity", "sqlstate", "outcome"),
    [
        ("ERROR", "25006", Outcome.FAILED),  # read_only_sql_transaction
        ("ERROR", "40001", Outcome.FAILED),  # serialization_failure
        ("ERROR", "23505", Outcome.FAILED),  # unique_violation
        ("ERROR", "53100", Outcome.FAILED),  # disk_full
        ("ERROR", "57014", Outcome.FAILED),  # query_canceled
        ("ERROR", "26000", Outcome.FAILED),  # invalid_sql_statement_name
        ("ERROR", "40003", Outcome.UNKNOWN),  # statement_completion_unknown
        ("ERROR", "08006", Outcome.UNKNOWN),  # connection_failure, of a pooler
        ("ERROR", "08007", Outcome.UNKNOWN),  # transaction_resolution_unknown
        ("ERROR", "57P01", Outcome.UNKNOWN),  # admin_shutdown
        ("ERROR", "58000", Outcome.UNKNOWN),  # system_error
        ("ERROR", "XX000", Outcome.UNKNOWN),  # internal_error
        ("ERROR", "", Outcome.UNKNOWN),
        ("FATAL", "57P01", Outcome.UNKNOWN),
        ("FATAL", "25006", Outcome.UNKNOWN),
        ("PANIC", "53100", Outcome.UNKNOWN),
        ("", "25006", Outcome.UNKNOWN),  # a server before 9.6, or none at all
    ],
)
def test_only_what_was_certainly_rolled_back_has_failed(severity: str, sqlstate: str, outcome: Outcome) -> None:
    assert outcome_of_error(severity, sqlstate) is outcome
