"""The root of all commands: `chaosdrills`, and `chaos drills`."""

import importlib

import click

from chaosdrills import __version__
from chaosdrills.cli.guard import GuardedGroup

_COMMANDS = {
    "abort": "chaosdrills.cli.abort:abort",
    "completion": "chaosdrills.cli.completion:completion",
    "doctor": "chaosdrills.cli.doctor:doctor",
    "experiments": "chaosdrills.cli.experiments:experiments",
    "feast": "chaosdrills.cli.feast:feast",
    "go": "chaosdrills.cli.go:go",
    "heal": "chaosdrills.cli.heal:heal",
    "judge": "chaosdrills.cli.judge:judge",
    "lab": "chaosdrills.cli.lab:lab",
    "list": "chaosdrills.cli.list:list_experiments",
    "new": "chaosdrills.cli.new:new",
    "note": "chaosdrills.cli.note:note",
    "preview": "chaosdrills.cli.preview:preview",
    "record": "chaosdrills.cli.record:record",
    "repeat": "chaosdrills.cli.repeat:repeat",
    "report": "chaosdrills.cli.report:report",
    "run": "chaosdrills.cli.run:run",
    "soak": "chaosdrills.cli.soak:soak",
    "status": "chaosdrills.cli.status:status",
}

# In the order in which they are needed; a command that stands nowhere here comes last.
SECTIONS = {
    "Before a drill": ("doctor", "list", "new", "preview", "feast", "lab"),
    "During a drill": ("run", "repeat", "status", "go", "hold", "note", "abort", "heal"),
    "After a drill": ("report", "judge", "record"),
    "More": ("experiments", "soak", "completion"),
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by sections, each in the order in which a newcomer needs them."""
        known = self.list_commands(ctx)
        placed = [name for names in SECTIONS.values() for name in names]
        others = tuple(name for name in known if name not in placed)
        width = max(map(len, known))
        for title, names in {**SECTIONS, "Others": others}.items():
            rows = [(name, self.get_command(ctx, name)) for name in names if name in known]
            if rows:
                room = formatter.width - 6 - width
                with formatter.section(title):
                    shown = [(name, it.get_short_help_str(room)) for name, it in rows if it is not None]
                    formatter.write_dl([(name.ljust(width), text) for name, text in shown])


@click.group(name="drills", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chaosdrills")
def drills() -> None:
    """Drills that prove recovery: judge records, run labs, heal what a dead run left.

    \b
    A first drill: chaos drills doctor
                   chaos drills experiments copy experiments
                   chaos run experiments/kafka-broker-loss.json

    Exit status: 0 met or done, 1 missed, 2 unknown, 64 wrong usage, 69 something is not available, 70 our own fault,
    130 interrupted.
    """


def main() -> None:
    """Entry point of `chaosdrills`."""
    drills(prog_name="chaosdrills")
