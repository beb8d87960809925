"""`completion`: what a shell needs to complete our commands; and how names of experiments and runs are completed."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from chaosdrills.errors import InternalError

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "chaosdrills"
MOST = 200  # of candidates: a shell that shows thousands shows nothing


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete 'chaosdrills': commands, options, experiments, folders of runs.

    \b
    Example: eval "$(chaosdrills completion bash)"        (in ~/.bashrc; zsh alike)
             chaosdrills completion fish > ~/.config/fish/completions/chaosdrills.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise InternalError(f"click knows no completion for {shell}.", "upgrade click.")
    click.echo(kind(ctx.find_root().command, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Folders of runs, youngest first; whatever files there are where none begins so."""
    from chaosdrills.gameday.runs import folders

    return _matching([str(folder) for folder in folders(Path("journals"))], incomplete)


def complete_experiments(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Experiments of the folder ``experiments``; whatever files there are where none begins so."""
    return _matching(sorted(str(path) for path in Path("experiments").glob("*.json")), incomplete)


def _matching(names: list[str], incomplete: str) -> list[CompletionItem]:
    found = [name for name in names if name.startswith(incomplete)]
    return [CompletionItem(name) for name in found[:MOST]] or [CompletionItem(incomplete, type="file")]
