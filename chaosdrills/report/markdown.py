"""A report as Markdown (GitHub's tables): the same content as the HTML, the timeline as a line of blocks."""

import re
from collections.abc import Iterator

import numpy as np

from chaosdrills.report import lanes, wording
from chaosdrills.report.ages import Floats
from chaosdrills.report.chart import Scene
from chaosdrills.report.panels import usual_per_s
from chaosdrills.report.tables import Cell, Table
from chaosdrills.report.views import SYMBOLS, Report

BLOCKS = "▁▂▃▄▅▆▇█"
_CODE = re.compile(r"[\w./: …-]+")
_MARKUP = re.compile(r"[^\w .:/…-]")
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$#@])")


def markdown(report: Report) -> str:
    """The whole document, ending in a newline."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def escaped(text: str) -> str:
    """`text` so that Markdown shows it as it is: no markup, no cell border, no link of its own."""
    marked = _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;"))
    return marked.replace("://", "&#58;//").replace("www.", "www&#46;")


def _lines(report: Report) -> Iterator[str]:
    yield f"# {SYMBOLS[report.verdict]} {report.verdict.capitalize()}: {escaped(report.title)}"
    yield from ("", f"**{report.headline}**", "")
    yield from (f"- {escaped(reason)}" for reason in report.reasons)
    yield ""
    yield from (f"> **Note:** {escaped(note)}\n" for note in report.notes)
    yield from (" · ".join(f"{name}: {escaped(text)}" for name, text in report.about), "")
    yield from ("## Objectives", "", *_table(report.objectives))
    yield from ("## Timeline", "")
    for title, scene in report.scenes:
        yield from (f"{title}:", "", "```", *sparkline(scene), "```", "")
    yield from () if report.scenes else ("No operations were recorded.", "")
    yield from (*_table(report.marks), *_table(report.outages), report.outage_note, "")
    for section in report.sections:
        yield from (f"## {section.title}", "")
        for sentence in section.sentences:
            yield from (escaped(sentence), "")
        for caption, table in section.lists:
            yield from (f"**{caption}**", "") if caption and table else ()
            yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    if not table:
        return
    yield _row(table.columns)
    aligned = ("---:" if cell.tone == "number" else "---" for cell in table.rows[0])
    yield _row(tuple(aligned))
    for row in table.rows:
        yield _row(tuple(_cell(cell) for cell in row))
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.tone in SYMBOLS:
        return f"{SYMBOLS[cell.tone]} **{text}**"
    if cell.tone == "code" and _CODE.fullmatch(cell.text):
        return f"`{cell.text}`"
    return f"*{text}*" if cell.tone == "unmeasured" else text


def sparkline(scene: Scene) -> Iterator[str]:
    """Throughput, outages, polled endpoints, marks and time, one character a bin; plain text without markup."""
    edges = scene.times.edges_ns
    rates = scene.times.acks_per_s
    baseline = scene.reference.baseline_per_s
    top = baseline or usual_per_s(rates)
    yield f"acks/s   {_blocks(rates, top)}"
    if scene.outages:
        yield f"outages  {_spans(scene)}"
    for lane in scene.lanes:
        name = _MARKUP.sub("?", wording.shortened(lane.name, lanes.NAME_WIDTH))
        yield f"{name:<{lanes.NAME_WIDTH}} {lanes.row(lane, edges)}".rstrip()
    yield from (f"marks    {row}" for row in _marks(scene))
    first, last = (wording.since(int(at), scene.origin_ns or 0) for at in (edges[0], edges[-1]))
    yield f"         {first}{last.rjust(len(rates) - len(first))}"
    usual = f"baseline {wording.number(baseline)}/s" if baseline else "no baseline"
    peak = wording.number(float(np.nan_to_num(rates).max()))
    yield f"· no acknowledgement; full block: {wording.number(top)}/s or more ({usual}); peak {peak}/s"
    if scene.lanes:
        yield f"{lanes.GOOD} a polled endpoint is good; {lanes.BAD} it is unavailable"


def _blocks(rates: Floats, top: float) -> str:
    """A block a bin, a dot without an acknowledgement, a blank without load."""
    heights = np.clip(np.ceil(np.nan_to_num(rates) / top * len(BLOCKS) - 0.5), 1, len(BLOCKS)).astype(int)
    shown = [BLOCKS[height - 1] for height in heights]
    return "".join(
        " " if np.isnan(rate) else "·" if rate == 0 else block for rate, block in zip(rates, shown, strict=True)
    )


def _spans(scene: Scene) -> str:
    edges = scene.times.edges_ns
    row = [" "] * (len(edges) - 1)
    for span in scene.outages:
        end = edges[-1] if span.end_ns is None else span.end_ns
        if span.begin_ns >= edges[-1] or end < edges[0]:
            continue
        first, last = (int(np.searchsorted(edges, at, side="right")) - 1 for at in (span.begin_ns, end))
        for index in range(max(first, 0), min(last, len(row) - 1) + 1):
            row[index] = "#"
    return "".join(row).rstrip()


def _marks(scene: Scene) -> list[str]:
    """The numbers of the marks below their bins, in as many rows as they need."""
    edges = scene.times.edges_ns
    rows: list[str] = []
    for event in scene.events:
        index = int(np.searchsorted(edges, event.at_ns, side="right")) - 1
        if not 0 <= index < len(edges) - 1:
            continue
        free = next((number for number, row in enumerate(rows) if len(row) <= index - bool(row)), len(rows))
        if free == len(rows):
            rows.append("")
        rows[free] = rows[free].ljust(index) + str(event.number)
    return rows
