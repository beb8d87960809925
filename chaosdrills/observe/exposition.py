"""Prometheus' text exposition format, as far as one sample is looked for in it: strict about what it takes.

Only lines that begin with the wanted name are looked at, so that a large page costs little. A line is
``name{label="value",...} value`` with an optional timestamp; in a value of a label ``\\\\``, ``\\"`` and ``\\n`` stand
for backslash, quote and line end.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from chaosdrills.errors import UsageError

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*'
_SELECTOR = re.compile(rf"({_NAME})\s*(?:\{{(.*)\}})?", re.DOTALL)
_PAIR = re.compile(_LABEL)
_VALUE = re.compile(r"[ \t]*([^ \t\r]+)(?:[ \t]+-?\d+)?[ \t\r]*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|nan)", re.IGNORECASE)
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclass(frozen=True)
class Selector:
    """Samples of one name whose labels have these values, whatever other labels they have."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(text: str) -> "Selector":
        """The selector ``name`` or ``name{label="value"}``. Raises `UsageError` for what is none."""
        found = _SELECTOR.fullmatch(text.strip())
        try:
            if found is None:
                raise ValueError("it has no name")
            return Selector(found[1], _labels(found[2] or ""))
        except ValueError as error:
            raise UsageError(
                f"{text!r} is no sample of Prometheus: {error}.", 'write name, or name{label="value"}.'
            ) from error

    def values(self, page: str) -> list[float]:
        """The values of all samples in `page` that it picks. Raises `ValueError` for a line that is malformed."""
        return [value for labels, value in self._samples(page) if self.labels.items() <= labels.items()]

    def _samples(self, page: str) -> Iterator[tuple[dict[str, str], float]]:
        for found in re.finditer(rf"^{re.escape(self.name)}(?=[ \t{{])(.*)$", page, re.MULTILINE):
            rest = found[1].lstrip(" \t")
            labels, at = {}, 0
            if rest.startswith("{"):
                at = _end_of_labels(rest)
                labels = _labels(rest[1 : at - 1])
            yield labels, _number(rest[at:])


def _end_of_labels(text: str) -> int:
    """Where what follows the closing brace begins; a brace may be in a quoted value."""
    found = re.match(rf"\{{(?:{_LABEL}(?:,|(?=\}})))*\s*\}}", text)
    if found is None:
        raise ValueError("its labels are malformed")
    return found.end()


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        pair = _PAIR.match(text, at)
        if pair is None or pair[1] in labels:
            raise ValueError("its labels are malformed")
        labels[pair[1]] = re.sub(r"\\.", lambda escape: _ESCAPES.get(escape[0], escape[0]), pair[2])
        at = pair.end()
        if at < len(text):
            if text[at] != ",":
                raise ValueError("its labels are malformed")
            at += 1
    return labels


def _number(text: str) -> float:
    found = _VALUE.fullmatch(text)
    if found is None or not _NUMBER.fullmatch(found[1]):
        raise ValueError("its value is no number")
    return float(found[1])
