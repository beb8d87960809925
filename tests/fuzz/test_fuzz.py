"""A fuzz of all that reads files: only clean errors, never a wrong `met`. A long one: `benchmarks.fuzz`."""

import functools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaosdrills.errors import UsageError
from tests.fuzz import targets as fuzzed
from tests.fuzz.targets import Target, targets

NAMES = (
    "record",
    "history",
    "observe arguments",
    "answer",
    "lab arguments",
    "heal log",
    "lab state",
    "objectives",
    "experiments",
    "summary",
)
EXAMPLES = {"summary": 40}


@functools.cache
def made() -> dict[str, Target]:
    with tempfile.TemporaryDirectory() as folder:
        return {target.name: target for target in targets(Path(folder))}


def test_every_target_is_fuzzed() -> None:
    assert tuple(made()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_valid_inputs_are_taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    target = made()[name]
    for seed in target.seeds:
        before = target.taken
        target.run(seed, tmp_path)
        assert target.taken == before + 1


@pytest.mark.parametrize("name", NAMES)
def test_changed_inputs_are_refused_cleanly_or_taken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    target = made()[name]

    @settings(
        max_examples=EXAMPLES.get(name, 300),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**40))
    def each(seed: int) -> None:
        target.run(target.make(seed), tmp_path)

    each()


def test_a_met_that_the_oracle_does_not_share_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzed.oracle, "judge", lambda *lines, **options: {"verdict": "missed"})
    for name in ("record", "history"):
        with pytest.raises(AssertionError, match="the judge says met, the oracle missed"):
            made()[name].run(made()[name].seeds[0], tmp_path)


def test_a_broken_seal_that_goes_unnoticed_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = made()["record"]
    (tmp_path / "whole").write_bytes(target.seeds[0])
    whole = fuzzed.read_record(tmp_path / "whole")
    monkeypatch.setattr(fuzzed, "read_record", lambda path: whole)
    with pytest.raises(AssertionError, match="a broken seal was taken for whole"):
        target.run(target.seeds[0][:-40] + b"\1" + target.seeds[0][-39:], tmp_path)


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        (KeyError("planted"), KeyError),
        (UsageError("no hint"), AssertionError),
        (UsageError("", "a hint"), AssertionError),
        (UsageError("\ud800", "a hint"), UnicodeEncodeError),
    ],
)
def test_anything_but_a_clean_error_is_a_finding(
    error: Exception, finding: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(lines: object) -> None:
        raise error

    monkeypatch.setattr(fuzzed, "parse", parse)
    with pytest.raises(finding):
        made()["history"].run(b"", tmp_path)


def test_an_input_is_known_by_its_number() -> None:
    for target in made().values():
        assert target.make(7) == target.make(7)
        assert len({target.make(seed) for seed in range(20)}) > 5
