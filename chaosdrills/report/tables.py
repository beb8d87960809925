"""What a report says in tables, the same in Markdown and HTML: columns, cells, and how a cell is meant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chaosdrills.core.history import History, Mark, to_ns
from chaosdrills.report import wording
from chaosdrills.report.timeline import first_fault_ns

Tone = Literal["", "number", "value", "unmeasured", "code", "met", "missed", "unknown"]

LONG_WORD = 18
MARK_WORDS = {
    "fault_begin": "fault begins",
    "fault_end": "fault done",
    "heal_begin": "heal begins",
    "heal_end": "heal done",
    "load_end": "load ends",
    "drained": "drained",
}


@dataclass(frozen=True)
class Cell:
    """One text and how it is meant: a number of a column, a figure, one that is missing, code, a verdict."""

    text: str
    tone: Tone = ""

    @property
    def unbreakable(self) -> bool:
        """Whether it has a word so long that it must be broken anywhere."""
        return any(len(word) > LONG_WORD for word in self.text.split())


@dataclass(frozen=True)
class Table:
    """`columns` name the cells of each row; the first cell of a row heads it.

    `wide`: cards on a phone, and on a page the last cell of a row in a line of its own.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    wide: bool = False

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def stretched(self) -> int | None:
        """The column that takes what room is left: the last one of plain text, if there is one."""
        plain = [index for index, cell in enumerate(self.rows[0]) if index and cell.tone in ("", "code")]
        return plain[-1] if plain else None


def figure(text: str, tone: Tone = "value") -> Cell:
    """A figure, or that it was not measured."""
    return Cell(text, "unmeasured" if text == wording.NOT_MEASURED else tone)


def facts(values: Mapping[str, Any] | None, columns: tuple[str, str]) -> Table:
    """A flat mapping of names to values."""
    rows = ((Cell(wording.words(name)), Cell(wording.plain(value))) for name, value in (values or {}).items())
    return Table(columns, tuple(rows))


OBJECTIVE_WORDS = {
    "rto": "Recovery time (RTO)",
    "rpo": "Data loss as time (RPO)",
    "max_lost": "Acknowledged records lost",
    "freshness": "Readers see fresh data again",
    "max_unavailable_s": "Endpoint unavailable to users",
    "max_attempts": "Restart attempts of a self-healer",
    "max_attempts_per_min": "Restart attempts within a minute",
}


def objectives(entries: Iterable[Mapping[str, Any]], recovery: Mapping[str, Any]) -> Table:
    """Each objective: limit, what was measured, what was compared, how far it is from the limit, verdict, why."""
    rows = tuple(_objective(entry, recovery) for entry in entries)
    return Table(("Objective", "Limit", "Measured", "Judged", "Margin", "Verdict", "Why"), rows, wide=True)


def objective_name(entry: Mapping[str, Any]) -> str:
    """An objective in words, with its key where that says nothing new left out."""
    name = str(entry.get("name", ""))
    return OBJECTIVE_WORDS.get(name, wording.words(name))


def _objective(entry: Mapping[str, Any], recovery: Mapping[str, Any]) -> tuple[Cell, ...]:
    unit = wording.public(entry.get("unit") or "")
    bound, actual, judged = entry.get("limit"), entry.get("actual"), entry.get("judged")
    decimals = wording.telling([bound, actual, judged])
    measured = wording.quantity(actual, unit, decimals)
    if actual is None and entry.get("name") == "rto" and recovery.get("rto_censored"):
        measured = censored(recovery)
    verdict = verdict_of(entry)
    margin = _margin(bound, judged, unit, lower_bound=actual is None)
    return (
        Cell(objective_name(entry)),
        Cell(wording.limit(bound, unit), "value"),
        figure(measured),
        figure(wording.quantity(judged, unit, decimals)),
        Cell(margin, "value"),
        Cell(verdict.capitalize(), verdict),
        Cell(sentence(entry.get("why"))),
    )


def censored(recovery: Mapping[str, Any]) -> str:
    """A recovery that did not come while it was watched."""
    least = recovery.get("rto_at_least_s")
    return "not restored" + ("" if least is None else f"; at least {wording.seconds(least)}")


def _margin(bound: float | None, judged: float | None, unit: str, lower_bound: bool) -> str:
    """How much of the limit is left, or by how much it is exceeded; what is only a lower bound leaves nothing."""
    if bound is None or judged is None or (lower_bound and judged <= bound):
        return "not known"
    span = wording.quantity(abs(bound - judged), unit, wording.telling([bound, bound - judged, judged]))
    if judged > bound:
        return f"over by at least {span}" if lower_bound else f"over by {span}"
    return "at the limit" if judged == bound else f"{span} left"


def verdict_of(entry: Mapping[str, Any]) -> Literal["met", "missed", "unknown"]:
    """The verdict of a summary or an objective; what is none of the three is not known."""
    value = entry.get("verdict")
    return "met" if value == "met" else "missed" if value == "missed" else "unknown"


def sentence(value: Any) -> str:
    """A reason with a capital and a full stop; empty if there is none."""
    text = wording.public("; ".join(map(str, value)) if isinstance(value, list | tuple) else value or "")
    return text and text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


@dataclass(frozen=True)
class Moment:
    """A mark or a remark: its instant (ns), what it is in words, its text, and whose doing it is."""

    at_ns: int
    name: str
    text: str
    sort: Literal["fault", "heal", "load", "note"]


def moments(history: History) -> list[Moment]:
    """Marks and remarks as they came."""
    remarks = [Moment(note.at_ns, "remark", wording.public(note.text), "note") for note in history.notes]
    return sorted([*map(_moment, history.marks), *remarks], key=lambda moment: moment.at_ns)


def _moment(mark: Mark) -> Moment:
    sort: Literal["fault", "heal", "load"] = "load"
    if mark.name.startswith(("fault", "heal")):
        sort = "fault" if mark.name.startswith("fault") else "heal"
    return Moment(mark.at_ns, MARK_WORDS.get(mark.name, wording.words(mark.name)), wording.public(mark.label), sort)


def marks(history: History) -> Table:
    """Every mark and remark, numbered as in the chart."""
    origin = first_fault_ns(history)
    rows = tuple(
        (Cell(str(number), "number"), Cell(one.name), Cell(one.text), *_instants(one.at_ns, origin))
        for number, one in enumerate(moments(history), 1)
    )
    return Table(("No.", "Mark", "What", *_instant_columns(origin)), rows)


def _instant_columns(origin: int | None) -> tuple[str, ...]:
    return ("Clock",) if origin is None else ("Since fault", "Clock")


def _instants(at_ns: int, origin: int | None) -> tuple[Cell, ...]:
    on_clock = Cell(wording.instant(at_ns / 1e9), "number")
    return (on_clock,) if origin is None else (Cell(wording.since(at_ns, origin), "number"), on_clock)


def outages(spans: Iterable[Any] | None, history: History, most: int = 20) -> tuple[Table, int]:
    """The first outages, and how many there are beyond them."""
    origin = first_fault_ns(history)
    listed = list(spans or ())
    rows = tuple(
        (
            Cell(str(number), "number"),
            *_instants(to_ns(begin), origin),
            Cell("no end seen" if end is None else wording.instant(end - begin), "number"),
        )
        for number, (begin, end) in enumerate(listed[:most], 1)
    )
    return Table(("No.", *_instant_columns(origin), "Length"), rows), max(len(listed) - most, 0)


def phases(entries: Iterable[Mapping[str, Any]], history: History) -> Table:
    """Every phase, numbered as in the chart."""
    origin = first_fault_ns(history)
    rows = []
    for number, entry in enumerate(entries, 1):
        begin, end = entry.get("begin"), entry.get("end")
        instants = _instants(to_ns(begin), origin) if begin is not None else (figure(wording.NOT_MEASURED),)
        padding = (Cell(""),) * (len(_instant_columns(origin)) - len(instants))
        length = "no end seen" if end is None or begin is None else wording.instant(end - begin)
        name = Cell(wording.public(entry.get("name", "")))
        rows.append((Cell(str(number), "number"), name, *instants, *padding, Cell(length, "number")))
    return Table(("No.", "Phase", *_instant_columns(origin), "Length"), tuple(rows))


def checks(entries: Iterable[Mapping[str, Any]]) -> Table:
    """Each check: whether it held, and in which detail."""
    rows = []
    for entry in entries:
        ok = entry.get("ok")
        result = Cell("Held", "met") if ok is True else Cell("Not known", "unknown")
        result = Cell("Failed", "missed") if ok is False else result
        rows.append(
            (Cell(wording.words(entry.get("name", ""))), result, Cell(wording.plain(entry.get("detail") or "")))
        )
    return Table(("Check", "Result", "Detail"), tuple(rows))
