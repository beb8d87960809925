"""`experiments`: the experiments that travel with the package."""

from pathlib import Path

import click

from chaosdrills.errors import UsageError


def shipped() -> dict[str, bytes]:
    """The shipped experiments: file name to content."""
    from chaosdrills.gameday.catalogue import shipped as of_the_package

    return of_the_package()


@click.group()
def experiments() -> None:
    """The shipped experiments."""


@experiments.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_shipped(as_json: bool) -> None:
    """List the shipped experiments, as 'list' does, and no others.

    \b
    Example: chaos drills experiments list
    """
    from chaosdrills.cli.list import show

    show(None, Path("journals"), as_json)


@experiments.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--force", is_flag=True, help="Overwrite files that differ.")
def copy(folder: Path, force: bool) -> None:
    """Copy the shipped experiments into FOLDER (made if missing).

    \b
    Example: chaos drills experiments copy experiments
    """
    from chaosdrills.host.files import writing_for_user

    contents = shipped()
    differing = [name for name, content in contents.items() if _differs(folder / name, content)]
    if differing and not force:
        raise UsageError(
            f"{', '.join(sorted(differing))} in {folder} would be overwritten.",
            "add --force, or choose another folder.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}.", "name a folder that you may make.") from error
    for name, content in sorted(contents.items()):
        with writing_for_user(folder / name) as file:
            file.write(content)
        click.echo(folder / name)


def _differs(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() != content
