"""Recovery while it happens: what is restored now, what is not, and what cannot be known yet."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chaosdrills.core.history import NS
from chaosdrills.core.recovery import recovery_of
from chaosdrills.errors import UnavailableError
from chaosdrills.observe.live import NoBaseline, lacking, restored_after_s, so_far, wait_restored
from chaosdrills.observe.reading import read_record
from tests.observe.drills import FAULT, PARAMETERS, write_record


def at(second: float) -> Callable[[], int]:
    return lambda: round(second * NS)


def wait(record: Path, now_s: float) -> float | None:
    """The answer of one look at `now_s`."""
    return wait_restored(record, PARAMETERS, 0, at(now_s))


def test_restored_once_service_was_good_for_long_enough(tmp_path: Path) -> None:
    write_record(tmp_path / "record", 30, outage=(10, 13), marks=FAULT, whole=False)
    assert wait(tmp_path / "record", 20) == 3.0
    assert wait(tmp_path / "record", 13 + 2 + 1.4) is None, "of 2 s of good service only 1.9 s are seen yet"
    assert wait(tmp_path / "record", 13 + 2 + 1.6) == 3.0


def test_what_is_in_flight_is_in_no_record_and_yet_not_good(tmp_path: Path) -> None:
    """Nothing is answered any more, so nothing more is written: that must not look as if nobody had asked."""
    write_record(tmp_path / "record", 10, marks=FAULT, whole=False)
    assert wait(tmp_path / "record", 30) is None


def test_a_dip_that_begins_late_is_seen(tmp_path: Path) -> None:
    write_record(tmp_path / "record", 30, outage=(13, 18), marks=FAULT, whole=False)
    assert wait(tmp_path / "record", 12.9) is None
    assert wait(tmp_path / "record", 30) == 8.0


def test_what_recovered_from_one_fault_has_not_recovered_from_the_next(tmp_path: Path) -> None:
    """The second one began a moment ago, in what is not looked at yet."""
    second = [("fault_begin", 20.0), ("fault_end", 20.1)]
    write_record(tmp_path / "record", 40, outage=(20, 26), marks=[*FAULT, *second], whole=False)
    assert wait(tmp_path / "record", 20.2) is None
    assert wait(tmp_path / "record", 22) is None
    assert wait(tmp_path / "record", 40) == 6.0


def test_without_a_fault_nothing_is_restored(tmp_path: Path) -> None:
    write_record(tmp_path / "record", 30, marks=[], whole=False)
    assert wait(tmp_path / "record", 30) is None


def test_without_a_baseline_nothing_can_be_known_and_nobody_waits(tmp_path: Path) -> None:
    write_record(tmp_path / "record", 30, outage=(8, 9.5), marks=FAULT, whole=False)
    assert wait(tmp_path / "record", 11) is None, "what was due before the fault may still be seen to be bad"
    with pytest.raises(NoBaseline, match="under 2 s of clean service before the fault, so recovery cannot be known"):
        wait_restored(tmp_path / "record", PARAMETERS, 60, at(12))


def test_it_looks_again_until_it_is_restored(tmp_path: Path) -> None:
    write_record(tmp_path / "record", 30, outage=(10, 13), marks=FAULT, whole=False)
    instants = iter([11.0, 14.0, 16.0, 17.0])
    took_s = wait_restored(tmp_path / "record", PARAMETERS, 60, lambda: round(next(instants) * NS), poll_s=0.001)
    assert took_s == 3.0
    assert list(instants) == []


def test_what_a_baseline_lacks() -> None:
    good, bad, new = (
        {"good": good, "bad_s": 0.0, "why": why} for good, why in ((True, ""), (False, "status 503"), (None, ""))
    )
    assert lacking({"clean_s": 5.0}, 5) == ""
    assert lacking({"clean_s": 4.94, "endpoints": {"app": bad}}, 5) == "4.9 s of it are there, 5 s are needed"
    assert lacking({"clean_s": 5.0, "endpoints": {"app": good}}, 5) == ""
    assert (
        lacking({"clean_s": 5.0, "endpoints": {"a": good, "b": bad}}, 5)
        == "the endpoint b is not seen good: status 503"
    )
    assert lacking({"clean_s": 5.0, "endpoints": {"a": new}}, 5) == "the endpoint a is not seen good: no answer yet"


def test_an_observer_that_is_gone_ends_the_wait(tmp_path: Path) -> None:
    write_record(tmp_path / "record", 12, marks=FAULT, whole=False)

    def gone() -> int:
        raise UnavailableError("the observer died.")

    with pytest.raises(UnavailableError, match="the observer died"):
        wait_restored(tmp_path / "record", PARAMETERS, 60, gone)


def test_so_far_is_the_record_as_if_load_had_ended(tmp_path: Path) -> None:
    write_record(tmp_path / "record", 30, outage=(10, 13), marks=FAULT, whole=False)
    history = read_record(tmp_path / "record")
    seen = so_far(history, 12 * NS)
    assert [mark.name for mark in seen.marks] == ["fault_begin", "fault_end", "load_end"]
    assert recovery_of(seen, PARAMETERS).load_end_ns == 12 * NS
    assert restored_after_s(recovery_of(seen, PARAMETERS)) is None
    assert len(history.marks) == 2
