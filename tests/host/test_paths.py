"""Where state lies, whatever its folder is called."""

from pathlib import Path

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.host import packet_filter
from chaosdrills.host.paths import state_path


def test_a_folder_is_the_same_one_by_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a heal by another name would find no cut, and leave it for ever."""
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "state")
    found = set()
    for name in ("state", "link", "state/../link"):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        found.add((state_path("lab"), packet_filter._table("toy", 1, "all")))
    assert [path for path, _ in found] == [tmp_path / "state" / "chaosdrills" / "lab"]


def test_a_relative_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    with pytest.raises(UsageError, match="XDG_STATE_HOME is 'state'"):
        state_path()
