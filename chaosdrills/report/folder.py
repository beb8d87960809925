"""The report's files in a drill's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaosdrills.core.history import History
from chaosdrills.host.files import write_atomic
from chaosdrills.report.render import render_html, render_markdown

MARKDOWN = "report.md"
HTML = "report.html"


def write_report(folder: Path, summary: Mapping[str, Any], recovery: Mapping[str, Any], history: History) -> Path:
    """Write report.md and report.html into `folder`, each whole or not at all; returns the path of the HTML.

    Arguments as in `chaosdrills.report.render`. Raises `UnavailableError` without jinja2; the Markdown is then there.
    """
    write_atomic(folder / MARKDOWN, render_markdown(summary, recovery, history).encode())
    write_atomic(folder / HTML, render_html(summary, recovery, history).encode())
    return folder / HTML
