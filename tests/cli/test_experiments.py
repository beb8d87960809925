"""`experiments list` and `copy`: what is there is not overwritten unasked."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from chaosdrills.cli.experiments import shipped
from chaosdrills.cli.main import drills


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(drills, ["experiments", *map(str, arguments)])


def test_list_has_every_title() -> None:
    lines = run("list").stdout.splitlines()
    for name, content in shipped().items():
        assert f"{name.removesuffix('.json')}: {json.loads(content)['title']}" in lines
    assert len(shipped()) >= 2


def test_copy_again_and_over_changes(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    first = run("copy", folder)
    assert (first.exit_code, first.stdout.splitlines()) == (0, [str(folder / name) for name in sorted(shipped())])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == shipped()
    assert run("copy", folder).exit_code == 0

    changed = folder / min(shipped())
    changed.write_text("mine")
    refused = run("copy", folder)
    assert (refused.exit_code, changed.read_text()) == (64, "mine")
    assert refused.stderr.startswith(f"Error: {changed.name} in {folder} would be overwritten.\nTry: add --force")
    assert run("copy", folder, "--force").exit_code == 0
    assert changed.read_bytes() == shipped()[changed.name]
