"""Finding what wheels of the extra `lab` bring along, without importing any of their code."""

import importlib.util
from pathlib import Path

from chaosdrills.errors import UnavailableError

INSTALL = "run pip install 'chaosdrills[lab]'."


def in_package(package: str, path: str) -> Path:
    """Where `path` of an installed package is, or would be. Raises `UnavailableError` if the package is not there."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UnavailableError(f"the package {package.replace('_', '-')} is not installed.", INSTALL)
    return Path(next(iter(found.submodule_search_locations))) / path
