"""Help: every command has an example; what prints figures has --json; the root names all, in a newcomer's order."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from chaosdrills.cli.main import SECTIONS, drills

NO_FIGURES = {  # they do something, or write a file, and print no figure
    "completion", "experiments copy", "lab up", "lab down", "lab prepare", "new", "record export", "report",
    "abort", "go", "hold", "note", "run",
}  # fmt: skip


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command below `group`, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield " ".join((*before, name)), command


ALL = dict(commands(drills))


@pytest.mark.parametrize("name", ALL)
def test_every_help_has_an_example(name: str) -> None:
    done = CliRunner().invoke(drills, [*name.split(), "--help"])
    assert done.exit_code == 0
    examples = [line for line in done.stdout.splitlines() if line.strip().startswith("Example: ")]
    assert examples, "a help without an example"
    assert f"{name.split()[0]}" in examples[0]


@pytest.mark.parametrize("name", sorted(set(ALL) - NO_FIGURES))
def test_what_prints_figures_can_print_json(name: str) -> None:
    assert any("--json" in option.opts for option in ALL[name].params), f"{name} has no --json"


def test_the_root_shows_every_command_once_in_its_section() -> None:
    shown = CliRunner().invoke(drills, ["--help"]).stdout
    titles = [line for line in shown.splitlines() if line.rstrip(":") in SECTIONS]
    assert titles == [f"{title}:" for title in SECTIONS]
    assert "Others:" not in shown, "a command stands in no section of chaosdrills.cli.main"
    names = [line.split()[0] for line in shown.split("Before a drill:")[1].splitlines() if line.startswith("  ")]
    assert sorted(name for name in names if name in drills.list_commands(click.Context(drills))) == sorted(
        drills.list_commands(click.Context(drills))
    )
    assert names.index("doctor") < names.index("list") < names.index("heal") < names.index("judge")
