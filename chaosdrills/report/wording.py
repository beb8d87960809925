"""Numbers, times and foreign text as a reader should see them.

A null is "not measured", never 0 or an empty cell. Digits are what a decision needs: three or so, more only where
two figures that differ would otherwise read the same. Foreign text loses control characters and absolute paths here.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from chaosdrills.core.history import to_s

NOT_MEASURED = "not measured"
MAX_TEXT = 2_000  # characters of one foreign text

_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")
_ABSOLUTE = re.compile(r"(?:(?<=file://)|(?<![\w.:/~%-]))(?:~[\w.-]*)?/(?:[^\s/'\"<>|,;:()]+/)+([^\s/'\"<>|,;:()]*)")


def public(value: Any) -> str:
    """`value` as one line of text that may be shown to anyone.

    Control and bidirectional characters become spaces, an absolute path is cut to its last part, what is longer than
    `MAX_TEXT` is cut.
    """
    text = visible(str(value)).strip()
    text = _ABSOLUTE.sub(lambda found: f"…/{found[1]}", text)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def visible(text: str) -> str:
    """`text` with spaces for control and bidirectional characters, line ends among them."""
    return _HIDDEN.sub(" ", text)


def shortened(text: str, length: int) -> str:
    """`text` in at most `length` characters, an ellipsis where it was cut."""
    return text if len(text) <= length else text[: max(length - 1, 0)].rstrip() + "…"


def places(value: float) -> int:
    """Decimal places that leave about three digits of `value`."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return 0
    return 1 if size >= 1 else 2 if size >= 0.1 else 3


def number(value: float, decimals: int | None = None) -> str:
    """`value` with its thousands separated: 1,840 / 9.2 / 0.34 / 0.034; a minus sign, not a hyphen."""
    decimals = places(value) if decimals is None else decimals
    text = f"{abs(value):,.{decimals}f}"
    if value != 0 and not text.strip("0.,"):
        return f"under {10**-decimals:.{decimals}f}"
    return f"−{text}" if value < 0 else text


def plural(count: int, one: str, many: str = "") -> str:
    """1 record, 53 records."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def quantity(value: float | None, unit: str, decimals: int | None = None) -> str:
    """`value` with its unit (`s`, `records`, ...), or that it was not measured."""
    if value is None:
        return NOT_MEASURED
    return f"{number(value, decimals)} {unit}".rstrip()


def seconds(value: float | None, decimals: int | None = None) -> str:
    """9.2 s, 0.34 s, 600 s; or that it was not measured."""
    return quantity(value, "s", decimals)


def spelled(value: float) -> str:
    """A span in the two largest units that it has: 15 min, 24 h, 1 h 30 min, 7 days. Empty below two minutes."""
    if value < 120:
        return ""
    minutes, rest_s = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24) if hours > 48 else (0, hours)
    named = ((days, "days"), (hours, "h"), (minutes, "min"), (rest_s, "s"))
    return " ".join(f"{number(count)} {unit}" for count, unit in named if count)


def limit(value: float | None, unit: str) -> str:
    """An objective's limit: 600 s (10 min), 0 records, 0.0005 s. As it was set: never rounded."""
    if value is None:
        return "none set"
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    long = spelled(value) if unit == "s" else ""
    return f"{text} {unit}" + (f" ({long})" if long else "")


def telling(values: Iterable[float | None]) -> int | None:
    """Decimal places by which the `values` that differ also read differently; None if the usual ones do.

    600.04 against 600 must not both read "600 s".
    """
    known = sorted({float(value) for value in values if value is not None})
    usual = len({number(value) for value in known}) == len(known)
    if usual:
        return None
    for decimals in range(1, 6):
        if len({number(value, decimals) for value in known}) == len(known):
            return decimals
    return 6


def since(at_ns: int, origin_ns: int | None) -> str:
    """An instant relative to the first fault: +9.20 s, −10.00 s, 0 s. Empty without a fault."""
    if origin_ns is None:
        return ""
    span_s = to_s(at_ns - origin_ns)
    if abs(span_s) < 0.005:
        return "0 s"
    return f"{'+' if span_s > 0 else '−'}{instant(abs(span_s))}"


def instant(at_s: float) -> str:
    """An instant, or a length among instants, to hundredths so that columns align: 12.00 s."""
    return "0 s" if abs(at_s) < 0.005 else seconds(at_s, 2)


def moment(started_at: Any) -> str:
    """An ISO instant as 23 November 2026, 08:00:00 UTC; what is not one, as it is."""
    try:
        instant = datetime.fromisoformat(str(started_at))
    except ValueError:
        return public(started_at)
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return f"{instant.day} {instant:%B %Y, %H:%M:%S} UTC"


def words(name: Any) -> str:
    """A key as words: replication_factor -> replication factor."""
    return public(name).replace("_", " ")


def plain(value: Any) -> str:
    """A value of a parameter or a fact: numbers with separators, yes and no, lists joined; null is said."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.6f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{words(key)} {plain(item)}" for key, item in value.items())
    return public(value)
