"""Where state and caches lie: the XDG base directories, so that a heal works from any folder."""

import os
from pathlib import Path

from chaosdrills.errors import UnavailableError, UsageError

_STATE = ("XDG_STATE_HOME", ".local/state")
_CACHE = ("XDG_CACHE_HOME", ".cache")


def state_dir(*parts: str) -> Path:
    """`$XDG_STATE_HOME/chaosdrills/...`, made if missing (mode 0700)."""
    return _made(state_path(*parts), _STATE[0])


def cache_dir(*parts: str) -> Path:
    """`$XDG_CACHE_HOME/chaosdrills/...`, made if missing (mode 0700)."""
    return _made(cache_path(*parts), _CACHE[0])


def state_path(*parts: str) -> Path:
    """Where `state_dir` is, or would be."""
    return _path(*_STATE, parts)


def cache_path(*parts: str) -> Path:
    """Where `cache_dir` is, or would be."""
    return _path(*_CACHE, parts)


def _path(variable: str, default: str, parts: tuple[str, ...]) -> Path:
    base = Path(os.environ.get(variable) or Path.home() / default)
    if not base.is_absolute():  # it would be another folder from every other folder
        raise UsageError(f"{variable} is {str(base)!r}.", "give it an absolute path, or unset it.")
    return base.resolve().joinpath("chaosdrills", *parts)  # by whatever name: a cut is known by the lab's folder


def _made(path: Path, variable: str) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UnavailableError(
            f"cannot make the folder {path}: {error.strerror}.",
            f"make it writable, or set {variable} to another folder.",
        ) from error
    return path
