"""Completion, asked as a shell asks: commands, options, choices, folders of runs, experiments."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from chaosdrills.cli.completion import complete_experiments
from chaosdrills.cli.main import drills
from chaosdrills.faults.registry import FAULTS
from chaosdrills.kafka.roles import ROLES

BIN = Path(sys.executable).parent


def complete(*words: str) -> list[str]:
    """What the last of `words`, which may be empty, can become."""
    *args, incomplete = words
    asked = ShellComplete(drills, {}, "chaosdrills", "_CHAOSDRILLS_COMPLETE")
    return [item.value for item in asked.get_completions(args, incomplete)]


def test_commands_options_and_choices() -> None:
    assert complete("do") == ["doctor"]
    assert complete("lab", "p") == ["prepare"]
    assert "--kinds" in complete("soak", "--")
    assert complete("completion", "") == ["bash", "zsh", "fish"]
    assert complete("new", "--fault", "k") == ["kill"]
    assert set(complete("new", "--fault", "")) <= set(FAULTS)
    assert complete("new", "--role", "") == list(ROLES)


def test_folders_of_runs_youngest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete("report", "") == [""]
    for name in ("20261124T120000Z-x", "20261125T120000Z-y", "samples"):
        (tmp_path / "journals" / name).mkdir(parents=True)
    both = ["journals/20261125T120000Z-y", "journals/20261124T120000Z-x"]
    for words in (["report"], ["judge"], ["record", "show"], ["record", "export"]):
        assert complete(*words, "") == both
        assert complete(*words, "journals/20261124") == both[1:]
        assert complete(*words, "elsewhere/") == ["elsewhere/"]


def test_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(drills, ["experiments", "copy", "experiments"])
    context, parameter = click.Context(drills), click.Argument(["experiment"])
    found = [item.value for item in complete_experiments(context, parameter, "experiments/kafka-b")]
    assert "experiments/kafka-broker-loss.json" in found


def test_the_scripts_of_the_shells() -> None:
    for shell in ("bash", "zsh", "fish"):
        script = CliRunner().invoke(drills, ["completion", shell])
        assert script.exit_code == 0
        assert f"_CHAOSDRILLS_COMPLETE={shell}_complete" in script.stdout
    assert CliRunner().invoke(drills, ["completion", "tcsh"]).exit_code == 64


def test_a_real_shell_takes_the_script_and_is_answered(tmp_path: Path) -> None:
    script = (
        f'export PATH="{BIN}:$PATH"; eval "$(chaosdrills completion bash)"; '
        'COMP_WORDS=(chaosdrills rec); COMP_CWORD=1; _chaosdrills_completion chaosdrills; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)},
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "record", "")
