"""What is not shown: secrets, what is called as secrets are, and passwords in addresses."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chaosdrills.preview.loading import Resolved

HIDDEN = "***"
SHORTEST = 4

_CALLED = re.compile(r"passw|secret|token|credential|authorization|api.?key|private.?key", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_ASSIGNED = re.compile(
    r'(?i)((?:passw\w*|secret\w*|token|credential\w*|authorization|api.?key|private.?key)"?\s*[:=]\s*"?)([^"\s,}]+)'
)


@dataclass(frozen=True)
class Hiding:
    """Texts that must not be seen, longest first."""

    words: tuple[str, ...]

    @staticmethod
    def of(resolved: Resolved) -> "Hiding":
        """All secrets of an experiment, and what its configuration has under names of secrets."""
        found = {*_texts(resolved.secrets), *_texts(_called(resolved.configuration))}
        return Hiding(tuple(sorted((it for it in found if len(it) >= SHORTEST), key=len, reverse=True)))

    def hide(self, value: Any) -> Any:
        """`value` (JSON) without them."""
        if isinstance(value, str):
            for word in self.words:
                value = value.replace(word, HIDDEN)
            return _ASSIGNED.sub(rf"\1{HIDDEN}", _IN_ADDRESS.sub(HIDDEN, value))
        if isinstance(value, Mapping):
            return {key: self.hide(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(one) for one in value]
        return value


def _called(value: Any) -> Iterator[Any]:
    """Everything under keys that are called as secrets are."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if _CALLED.search(str(key)):
                yield one
            else:
                yield from _called(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _called(one)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif not isinstance(value, int | float | None):
        for one in value:
            yield from _texts(one)
