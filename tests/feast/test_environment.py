"""The environment of Feast's own: how it is made, and that nothing half made is ever taken for one."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.feast import environment
from chaosdrills.feast.environment import STAGING, VARIABLE, complaint, find_environment, is_made
from chaosdrills.host.processes import wait_until

pytestmark = pytest.mark.lab


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, for an environment that is as quickly made as it is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(environment, "WANTED", "pip")
    monkeypatch.setattr(environment, "TRIAL", "import pip")
    return tmp_path / "chaosdrills" / "feast"


def made(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.is_dir())


def test_it_is_made_once(cache: Path) -> None:
    said: list[str] = []
    assert not is_made()
    found = find_environment(said.append)
    assert is_made()
    assert find_environment(said.append) == found
    assert (said[0].split(" (")[0], said[-1]) == (
        "making an environment for Feast 0.67.0",
        f"made it: {found.python.parent.parent}",
    )
    assert made(cache) == [found.python.parent.parent.name]
    assert found.run(["-c", "import sys; print(sys.prefix)"], cache).stdout.strip() == str(cache / made(cache)[0])


def test_two_at_once_make_one(cache: Path) -> None:
    said: list[str] = []
    found = []
    threads = [threading.Thread(target=lambda: found.append(find_environment(said.append))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found[0] == found[1]
    assert len([line for line in said if line.startswith("making")]) == 1


ENDLESS = """
from chaosdrills.feast import environment
environment.WANTED = "pip"
environment.TRIAL = "from pathlib import Path; Path('tried').touch(); import time; time.sleep(600)"
environment.find_environment(print)
"""


def stopped_half_way(folder: Path, signum: int) -> None:
    """Begin to make one, and end whoever does it by a signal."""
    maker = subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=folder, start_new_session=True)
    try:
        assert wait_until((folder / "tried").exists, 60)
        maker.send_signal(signum)
        maker.wait(30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(maker.pid, signal.SIGKILL)


def test_ctrl_c_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    stopped_half_way(tmp_path, signal.SIGINT)
    assert not is_made()
    assert made(cache) == []


def test_one_that_was_killed_half_way_is_none(cache: Path, tmp_path: Path) -> None:
    stopped_half_way(tmp_path, signal.SIGKILL)
    assert not is_made()
    assert made(cache)[0].startswith(STAGING)
    find_environment(lambda _: None)
    assert len(made(cache)) == 1
    assert not made(cache)[0].startswith(STAGING)


def test_offline_is_one_clear_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "WANTED", "chaosdrills-no-such-package")
    for name, value in (("INDEX_URL", "http://user:secret@127.0.0.1:9/"), ("RETRIES", "0"), ("NO_CACHE_DIR", "1")):
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(UnavailableError) as raised:
        find_environment(lambda _: None)
    assert "cannot be made: No matching distribution found for chaosdrills-no-such-package" in str(raised.value)
    assert "pip.log" in raised.value.hint
    assert made(cache) == []
    log = (cache / "pip.log").read_text()
    assert "127.0.0.1:9" in log
    assert "secret" not in log


def test_one_that_does_not_work_is_none(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "TRIAL", "import no_such_module")
    with pytest.raises(UnavailableError, match="cannot be made: ModuleNotFoundError: No module named 'no_such_module'"):
        find_environment(lambda _: None)
    assert not is_made()


def test_one_that_was_broken_later_says_what_to_do(cache: Path) -> None:
    found = find_environment(lambda _: None)
    found.python.unlink()
    with pytest.raises(UnavailableError, match="cannot be run: No such file") as raised:
        found.run(["-c", "pass"], cache)
    assert raised.value.hint == f"remove the folder {found.python.parent.parent}; it is then made anew."
    with pytest.raises(UnavailableError, match="cannot be run: it, or what it leads to, is gone"):
        find_environment(lambda _: None)


def test_an_environment_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "python"))
    with pytest.raises(UsageError, match=f"{VARIABLE}=.* cannot be run: No such file"):
        find_environment(lambda _: None)
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(UsageError, match="has no Feast with Redis: ModuleNotFoundError: No module named 'feast'"):
        find_environment(lambda _: None)
    monkeypatch.setattr(environment, "TRIAL", "print('0.40.0')")
    assert find_environment(lambda _: None).version == "0.40.0"


def test_what_is_told_of_an_output() -> None:
    assert (
        complaint("Collecting a\nERROR: No matching distribution.\n\n[notice] a new pip\n")
        == "No matching distribution"
    )
    assert complaint("Traceback:\n  ValueError: no\n") == "ValueError: no"
    assert complaint("") == "it said nothing"
