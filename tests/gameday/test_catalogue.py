"""The catalogue: what experiments say of themselves, files that are none, and which of the two copies counts."""

import json
from pathlib import Path
from typing import Any

from chaosdrills.gameday.catalogue import Broken, Entry, catalogue, shipped

BARE: dict[str, Any] = {
    "title": "Mine",
    "method": [{"type": "probe", "name": "look"}, {"type": "action", "name": "hit"}],
}


def only(folder: Path, content: Any) -> Entry | Broken:
    """What the only file of `folder` is."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "mine.json").write_bytes(text)
    entries, broken = catalogue(folder)
    return next((entry for entry in entries if entry.name == "mine"), None) or broken[0]


def test_what_an_experiment_says_of_itself(tmp_path: Path) -> None:
    said = {"name": "chaosdrills", "hits": "a broker", "minutes": 2.5, "needs": ["the lab", "root"]}
    control = {
        "name": "observe",
        "provider": {"module": "chaosdrills.observe.control", "arguments": {"name": "My Drill"}},
    }
    whole = {**BARE, "extensions": [{"name": "other"}, said], "controls": [control]}
    path = str(tmp_path / "mine.json")
    assert only(tmp_path, whole) == Entry("mine", path, False, "Mine", "a broker", 2.5, ("the lab", "root"), "my-drill")


def test_what_it_does_not_say_is_not_made_up(tmp_path: Path) -> None:
    path = str(tmp_path / "mine.json")
    bare = Entry("mine", path, False, "Mine", "hit", None, (), "mine")
    assert only(tmp_path, BARE) == bare
    odd = ({"name": "chaosdrills", "hits": 1, "minutes": "two", "needs": "root"}, "chaosdrills", None)
    assert only(tmp_path, {**BARE, "extensions": list(odd), "controls": ["lab", {"provider": []}]}) == bare
    assert only(tmp_path, {**BARE, "extensions": {"name": "chaosdrills"}}) == bare


def test_a_file_that_is_no_experiment_is_named_with_the_reason(tmp_path: Path) -> None:
    path = str(tmp_path / "mine.json")
    assert only(tmp_path, b'{"title": ') == Broken(path, "it is not JSON: Expecting value: line 1 column 11 (char 10)")
    assert only(tmp_path, b"\xff") == Broken(path, "it is not JSON: it is not UTF-8 (byte 0)")
    for none in (
        [],
        {"title": "x"},
        {"title": "", "method": []},
        {"title": 1, "method": []},
        {"title": "x", "method": {}},
    ):
        assert only(tmp_path, none) == Broken(path, "it is no experiment: it has no title or no method")
    (tmp_path / "mine.json").unlink()
    (tmp_path / "mine.json").mkdir()
    assert catalogue(tmp_path)[1] == [Broken(path, "it cannot be read: Is a directory")]


def test_a_copy_in_the_folder_stands_for_the_shipped_one(tmp_path: Path) -> None:
    name, content = min(shipped().items())
    (tmp_path / name).write_bytes(content)
    entries = {entry.name: entry for entry in catalogue(tmp_path)[0]}
    assert set(entries) == {each.removesuffix(".json") for each in shipped()}
    copied = entries.pop(name.removesuffix(".json"))
    assert (copied.path, copied.shipped) == (str(tmp_path / name), True)
    assert all(entry.path == "" and entry.shipped for entry in entries.values())
    (tmp_path / name).write_bytes(content + b"\n")
    assert not next(entry for entry in catalogue(tmp_path)[0] if entry.path).shipped
