"""Rendering a report: a summary, the figures of its recovery and its history in, one document out.

Pure: nothing is measured, judged or looked up here. Markdown needs no further package; HTML needs jinja2.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from chaosdrills.core.history import History
from chaosdrills.errors import UnavailableError
from chaosdrills.report import markdown
from chaosdrills.report.chart import NARROW, WIDE, Drawing, draw
from chaosdrills.report.views import Report, report_of

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = "templates"


def render_markdown(summary: Mapping[str, Any], recovery: Mapping[str, Any], history: History) -> str:
    """The report as Markdown, verdict first.

    `summary`: as DESIGN's "Summary" has it, with `title`, `started_at` and `environment`; `recovery`: the judge's
    figures of recovery and `outages`; instants in both are seconds on the record's clock.
    """
    return markdown.markdown(report_of(summary, recovery, history, brief=True))


def render_html(summary: Mapping[str, Any], recovery: Mapping[str, Any], history: History) -> str:
    """The report as one HTML file that needs no script and no network. Arguments as in `render_markdown`.

    Raises `UnavailableError` if jinja2 is missing.
    """
    environment = _environment()
    report = report_of(summary, recovery, history)
    style = resources.files(__package__).joinpath(_TEMPLATES, "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(
        report=report, drawings=_drawings(report), style=style, style_hash=_hash(style)
    )


def _drawings(report: Report) -> list[tuple[str, list[Drawing]]]:
    """Each scene, drawn for a page and for a phone."""
    return [(title, [draw(scene, form, title) for form in (WIDE, NARROW)]) for title, scene in report.scenes]


def _hash(style: str) -> str:
    """The style sheet's hash, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


@lru_cache(maxsize=1)
def _environment() -> "jinja2.Environment":
    """Templates of this package, everything escaped, a missing name an error."""
    try:
        import jinja2
    except ImportError as error:
        raise UnavailableError(
            "The HTML report needs jinja2, which is not installed.", "pip install 'chaosdrills[report]'"
        ) from error
    return jinja2.Environment(
        loader=jinja2.PackageLoader("chaosdrills.report", _TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
