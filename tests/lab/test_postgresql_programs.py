"""Where PostgreSQL's programs are looked for, on planted ones."""

from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.lab.postgresql_programs import BINDIR, NEEDED, find_bindir, find_programs


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the environment names, with programs of which none can be run."""
    for name in NEEDED:
        (tmp_path / name).write_bytes(b"\x7fELF of another machine")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv(BINDIR, str(tmp_path))
    return tmp_path


def test_programs_that_cannot_be_run_are_named(planted: Path) -> None:
    with pytest.raises(
        UnavailableError, match=f"PostgreSQL cannot be run here: {planted}/postgres --version"
    ) as raised:
        find_programs()
    assert BINDIR in raised.value.hint


def test_a_folder_is_the_same_one_from_every_folder(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(planted.parent)
    monkeypatch.setenv(BINDIR, planted.name)
    assert find_bindir() == planted, "nodes work in the lab's folder"
