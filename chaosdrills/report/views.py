"""One report, ready to be written: every text chosen, every figure formatted, nothing left to decide but the markup."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chaosdrills.core.history import History, to_ns
from chaosdrills.core.parameters import Parameters
from chaosdrills.report import figures, tables, wording
from chaosdrills.report.chart import Event, Scene, Span
from chaosdrills.report.lanes import lanes_of
from chaosdrills.report.panels import Reference
from chaosdrills.report.tables import Table
from chaosdrills.report.timeline import MAX_BINS, Observed, Window, first_fault_ns, whole

SYMBOLS = {"met": "✓", "missed": "✗", "unknown": "?"}
BRIEF_BINS = 72
LEAST_MARGIN_S = 10.0  # shown before and after what a close view is about
CLOSE_IF_UNDER = 0.4  # a close view must be shorter than this share of the record


@dataclass(frozen=True)
class Section:
    """A heading with sentences and tables below it. `lists`: tables that need a caption to be told apart."""

    key: str
    title: str
    sentences: tuple[str, ...] = ()
    lists: tuple[tuple[str, Table], ...] = ()


@dataclass(frozen=True)
class Report:
    """What both renderings show, in order: verdict, reasons, notes, objectives, scenes, sections."""

    verdict: Literal["met", "missed", "unknown"]
    title: str
    headline: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    about: tuple[tuple[str, str], ...]
    objectives: Table
    marks: Table
    outages: Table
    outage_note: str
    sections: tuple[Section, ...]
    scenes: tuple[tuple[str, Scene], ...]


def report_of(summary: Mapping[str, Any], recovery: Mapping[str, Any], history: History, brief: bool = False) -> Report:
    """Put together the report of one drill. `brief`: for a timeline of throughput alone, a character a bin."""
    entries = list(summary.get("objectives") or ())
    verdict = tables.verdict_of(summary)
    outages, more = tables.outages(recovery.get("outages"), history)
    return Report(
        verdict,
        wording.public(summary.get("title") or summary.get("drill_id") or "Drill"),
        _headline(entries, verdict),
        tuple(_reasons(summary, entries, verdict)),
        tuple(_notes(history, recovery)),
        tuple(_about(summary, history)),
        tables.objectives(entries, recovery),
        tables.marks(history),
        outages,
        _outage_note(recovery, more),
        tuple(_sections(summary, recovery, history)),
        tuple(scenes(summary, recovery, history, brief)),
    )


def _headline(entries: list[Mapping[str, Any]], verdict: str) -> str:
    count = len(entries)
    if not count:
        return "No objective was judged."
    of = [entry for entry in entries if tables.verdict_of(entry) == verdict]
    every = f"All {wording.plural(count, 'objective')}" if count > 1 else "The objective"
    if verdict == "met" and len(of) == count:
        return f"{every} met."
    if verdict == "unknown" and all(tables.verdict_of(entry) == "met" for entry in entries):
        return f"{every} met, but a check failed: the figures cannot be relied on."
    said = {"met": "met", "missed": "missed", "unknown": "undecided: what was not measured is not met"}[verdict]
    return f"{len(of)} of {wording.plural(count, 'objective')} {said}."


def _reasons(summary: Mapping[str, Any], entries: list[Mapping[str, Any]], verdict: str) -> list[str]:
    """Why: first what no objective says (checks that failed), then the objectives that decided."""
    deciding = [entry for entry in entries if tables.verdict_of(entry) == verdict]
    said = [str(entry.get("why") or "") for entry in deciding]
    others = [why for why in summary.get("why") or () if not any(str(why) in one for one in said)]
    named = [f"{tables.objective_name(entry)}: {tables.sentence(entry.get('why'))}" for entry in deciding]
    return [tables.sentence(why) for why in others] + named


def _notes(history: History, recovery: Mapping[str, Any]) -> list[str]:
    """What a reader must know of the record before trusting a figure."""
    notes = [tables.sentence(warning) for warning in history.warnings]
    if history.end_ns is None:
        notes.append("The record has no end: the observer died before it closed it.")
    if recovery and first_fault_ns(history) is None:
        notes.append("No fault is marked in the record: times are on the record's clock.")
    return notes


def _about(summary: Mapping[str, Any], history: History) -> list[tuple[str, str]]:
    operations = len(history.writes), len(history.reads)
    polls = f", {wording.plural(len(history.polls), 'poll')}" if len(history.polls) else ""
    length = "" if history.end_ns is None else wording.seconds(history.end_ns / 1e9)
    about = [
        ("Service", wording.public(summary.get("service") or history.service)),
        ("Kind of drill", wording.words(summary.get("kind") or "")),
        ("Started", wording.moment(summary.get("started_at") or history.started_at)),
        ("Record", f"{wording.plural(operations[0], 'write')}, {wording.plural(operations[1], 'read')}{polls}"),
        ("Length", length),
        ("Drill", wording.public(summary.get("drill_id") or "")),
    ]
    return [(name, text) for name, text in about if text]


def _outage_note(recovery: Mapping[str, Any], more: int) -> str:
    if not recovery:
        return ""
    if recovery.get("outages") is None:
        return "Outages were not measured: without a baseline it is not known what gap the load explains."
    if not recovery["outages"]:
        return "No outage: no span without acknowledgements was longer than the load explains."
    return f"And {wording.plural(more, 'more outage', 'more outages')}." if more else ""


def _sections(summary: Mapping[str, Any], recovery: Mapping[str, Any], history: History) -> list[Section]:
    """The sections below the timeline; one that has nothing to say is left out."""
    evidence = [wording.public(path) for path in summary.get("evidence") or ()]
    parameters = figures.parameters(summary.get("parameters"))
    versions = tables.facts(summary.get("versions"), ("Part", "Version"))
    environment = tables.facts(summary.get("environment"), ("Fact", "Value"))
    sections = [
        Section("recovery", "Recovery in figures", (), (("", figures.recovery(recovery, history)),)),
        Section("phases", "Phases", (), (("", tables.phases(summary.get("phases") or (), history)),)),
        _loss(summary, history),
        Section("checks", "Checks", (), (("", tables.checks(summary.get("checks") or ())),)),
        Section("method", "How it was measured", METHOD if recovery else (), (("", parameters),)),
        Section("environment", "Environment and versions", (), (("Environment", environment), ("Versions", versions))),
        Section("evidence", "Evidence", EVIDENCE if evidence else (), (("", _files(evidence)),)),
    ]
    return [section for section in sections if section.sentences or any(table for _, table in section.lists)]


METHOD = (
    "Everything was seen from the client's side: an observer wrote and read through the whole drill and kept the "
    "record. An operation is good if it was acknowledged in time, counted from when it was due, so a stalled client "
    "hides nothing. The judged value is the measured one plus the resolution: what could not be seen counts against "
    "the service.",
)
EVIDENCE = (
    "The record holds every operation and mark: judging it again gives the same figures. What the checks say is in the "
    "summary alone.",
)


def _files(paths: list[str]) -> Table:
    return Table(("File",), tuple((tables.Cell(path, "code"),) for path in paths))


def _loss(summary: Mapping[str, Any], history: History) -> Section:
    values = summary.get("loss")
    if values is None:
        return Section("loss", "Loss", ("Loss was not measured in this drill.",))
    window = figures.loss_window(values, history)
    counts, examples = figures.loss(values, history), figures.examples(values, history)
    return Section("loss", "Loss", (window,) if window else (), (("", counts), ("Examples", examples)))


def scenes(
    summary: Mapping[str, Any], recovery: Mapping[str, Any], history: History, brief: bool = False
) -> list[tuple[str, Scene]]:
    """The charts to draw, titled: the record, and before it a close view of the fault if that is but a part of it."""
    window = whole(history)
    if window is None:
        return []
    close = _close(recovery, history, window)
    views = [("Around the fault", close), ("The whole record", window)] if close else [("The whole record", window)]
    reference = _reference(summary, recovery)
    observed = Observed.of(history, reference.slow_s, None if brief else reference.fresh_s)
    bins = BRIEF_BINS if brief else MAX_BINS
    drawn = [(title, observed.timeline(view, bins)) for title, view in views]
    lanes = lanes_of(history, to_ns(reference.slow_s), observed.load_end_ns)
    return [
        (
            f"{title}, in steps of {wording.plain(times.width_s)} s",
            Scene(times, reference, observed.origin_ns, _events(history), _outages(recovery), _phases(summary), lanes),
        )
        for title, times in drawn
    ]


def _close(recovery: Mapping[str, Any], history: History, window: Window) -> Window | None:
    """The part of the record from the first fault to the last heal and recovery, with margins; None: most of it."""
    fault = first_fault_ns(history)
    if fault is None:
        return None
    end = max(history.marks_named("fault_begin", "fault_end", "heal_begin", "heal_end"))
    took = recovery.get("rto_actual_s") or recovery.get("rto_at_least_s") or 0
    end = min(max(end, fault + to_ns(took)), window[1])
    margin = max(to_ns(LEAST_MARGIN_S), (end - fault) // 4)
    begin, end = max(fault - margin, window[0]), min(end + margin, window[1])
    return (begin, end) if end - begin < CLOSE_IF_UNDER * (window[1] - window[0]) else None


def _reference(summary: Mapping[str, Any], recovery: Mapping[str, Any]) -> Reference:
    """The parameters that the curves are compared with; the defaults where the summary has none."""
    given, default = summary.get("parameters") or {}, Parameters()
    return Reference(
        recovery.get("baseline_per_s"), given.get("slow_s", default.slow_s), given.get("fresh_s", default.fresh_s)
    )


def _events(history: History) -> tuple[Event, ...]:
    return tuple(
        Event(number, moment.name, moment.text, moment.sort, moment.at_ns)
        for number, moment in enumerate(tables.moments(history), 1)
    )


def _outages(recovery: Mapping[str, Any]) -> tuple[Span, ...]:
    return tuple(_span("", begin, end) for begin, end in recovery.get("outages") or ())


def _phases(summary: Mapping[str, Any]) -> tuple[Span, ...]:
    return tuple(
        _span(f"{number} {wording.public(entry.get('name', ''))}", entry["begin"], entry.get("end"))
        for number, entry in enumerate(summary.get("phases") or (), 1)
        if entry.get("begin") is not None
    )


def _span(name: str, begin_s: float, end_s: float | None) -> Span:
    return Span(name, to_ns(begin_s), None if end_s is None else to_ns(end_s))
