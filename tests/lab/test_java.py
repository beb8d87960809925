"""Which Java the lab takes, and what it says of one that it cannot use."""

from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.lab.java import find_java


def fake_java(folder: Path, says: str, status: int = 0) -> str:
    """A program that answers as `java -version` does."""
    path = folder / "java"
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {status}\n")
    path.chmod(0o755)
    return str(path)


def test_the_bundled_java_runs_and_makes_aot_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAOSDRILLS_JAVA", raising=False)
    java = find_java()
    assert java.release >= 25
    assert java.makes_aot_caches
    assert str(java.release) in java.version


def test_another_java_is_used_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake_java(tmp_path, 'openjdk version "17.0.15" 2025-04-15')
    monkeypatch.setenv("CHAOSDRILLS_JAVA", path)
    java = find_java()
    assert (java.path, java.release, java.makes_aot_caches) == (path, 17, False)


@pytest.mark.parametrize(
    ("says", "status", "why"),
    [
        ('openjdk version "11.0.2" 2019-01-15', 0, "is Java 11; the brokers need 17"),
        ("hello", 0, "does not say which version"),
        ("broken", 3, "cannot run"),
    ],
)
def test_a_java_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, status: int, why: str
) -> None:
    monkeypatch.setenv("CHAOSDRILLS_JAVA", fake_java(tmp_path, says, status))
    with pytest.raises(UnavailableError, match=why) as caught:
        find_java()
    assert "CHAOSDRILLS_JAVA" in caught.value.hint


def test_a_java_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOSDRILLS_JAVA", "/nowhere/java")
    with pytest.raises(UnavailableError, match="cannot run /nowhere/java"):
        find_java()
