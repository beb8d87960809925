"""The root of all commands: `chaosdrills`, and `chaos drills`."""

import importlib

import click

from chaosdrills import __version__
from chaosdrills.cli.guard import GuardedGroup

_COMMANDS = {
    "experiments": "chaosdrills.cli.experiments:experiments",
    "heal": "chaosdrills.cli.heal:heal",
    "judge": "chaosdrills.cli.judge:judge",
    "lab": "chaosdrills.cli.lab:lab",
    "preview": "chaosdrills.cli.preview:preview",
    "record": "chaosdrills.cli.record:record",
    "report": "chaosdrills.cli.report:report",
}


class LazyGroup(GuardedGroup):
    """Loads a command's module when it is used: `chaos` loads this group at every call."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None if there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(name="drills", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chaosdrills")
def drills() -> None:
    """Drills that prove recovery: judge records, run labs, heal what a dead run left.

    Exit status: 0 met or done, 1 missed, 2 unknown, 64 wrong usage, 69 something is not available, 70 our own fault,
    130 interrupted.
    """


def main() -> None:
    """Entry point of `chaosdrills`."""
    drills(prog_name="chaosdrills")
