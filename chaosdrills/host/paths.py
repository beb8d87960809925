"""Where state and caches lie: the XDG base directories, so that a heal works from any folder."""

import os
from pathlib import Path

from chaosdrills.errors import UnavailableError


def state_dir(*parts: str) -> Path:
    """`$XDG_STATE_HOME/chaosdrills/...`, made if missing (mode 0700)."""
    return _directory("XDG_STATE_HOME", ".local/state", parts)


def cache_dir(*parts: str) -> Path:
    """`$XDG_CACHE_HOME/chaosdrills/...`, made if missing (mode 0700)."""
    return _directory("XDG_CACHE_HOME", ".cache", parts)


def _directory(variable: str, default: str, parts: tuple[str, ...]) -> Path:
    base = Path(os.environ.get(variable) or Path.home() / default)
    path = base.joinpath("chaosdrills", *parts)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UnavailableError(
            f"cannot make the folder {path}: {error.strerror}.",
            f"make it writable, or set {variable} to another folder.",
        ) from error
    return path
