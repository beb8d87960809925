"""The page: well formed, self-contained, escaped, verdict first, nothing left out, readable by anyone."""

import base64
import hashlib
import itertools
import re
import time
from dataclasses import replace

import pytest

from chaosdrills.report.render import render_html
from tests.report import samples
from tests.report.pages import Page
from tests.report.samples import Drill

DRILLS = {
    "met": samples.broker_loss,
    "missed": samples.unsafe_acks,
    "unknown": samples.never_back,
    "no_dip": samples.no_dip,
    "flapping": samples.flapping,
    "hostile": samples.hostile,
    "without_fault": samples.without_fault,
    "without_operations": samples.without_operations,
    "register": samples.register,
    "nothing_measured": samples.nothing_measured,
    "polled": samples.polled,
    "polled_never": samples.polled_never,
    "watched": samples.watched,
}


@pytest.fixture(scope="module", params=list(DRILLS))
def drill(request: pytest.FixtureRequest) -> Drill:
    return DRILLS[request.param]()


def page_of(drill: Drill) -> Page:
    return Page(render_html(*drill.arguments()))


def test_a_page_is_well_formed_and_self_contained(drill: Drill) -> None:
    html = render_html(*drill.arguments())
    page = Page(html)
    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert not re.search(r"https?:|src=|url\(|@import|<script|<link|<iframe|javascript:", html)
    assert {name for element in page.elements for name in element.attributes if name.startswith("on")} == set()
    assert [element for element in page.elements if "style" in element.attributes] == []
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    named = " ".join(element.attributes.get("aria-labelledby", "") for element in page.elements)
    assert set(named.split()) <= set(ids)


def test_the_policy_allows_the_style_sheet_and_nothing_else() -> None:
    html = render_html(*samples.broker_loss().arguments())
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(e.attributes["content"] for e in Page(html).all("meta") if "http-equiv" in e.attributes)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@pytest.mark.parametrize("verdict", ["met", "missed", "unknown"])
def test_the_verdict_comes_first_as_word_symbol_and_colour(verdict: str) -> None:
    page = page_of(DRILLS[verdict]())
    heading = page.one("h1", "verdict")
    headings = [element for element in page.elements if re.fullmatch("h[1-6]", element.tag)]
    body = page.one("body")
    assert headings[0] is heading
    assert heading.text.strip() == verdict.capitalize()
    assert any(element.tag == "svg" for element in heading.inner)
    assert body.text.split()[0] == verdict.capitalize()
    assert page.one("header").has(verdict)
    assert page.all("title")[0].text.startswith(f"{verdict.capitalize()}: ")


def test_symbols_of_the_verdicts_differ_in_shape() -> None:
    pages = [render_html(*DRILLS[verdict]().arguments()) for verdict in ("met", "missed", "unknown")]
    assert len({re.findall(r"<svg class=\"icon\".*?</svg>", page)[0] for page in pages}) == 3


def test_an_unknown_says_why_as_loudly_as_a_miss() -> None:
    for name in ("missed", "unknown"):
        drill = DRILLS[name]()
        reasons = next(e.text for e in page_of(drill).all("ul", "reasons"))
        deciding = [entry for entry in drill.summary["objectives"] if entry["verdict"] == name]
        assert deciding
        for entry in deciding:
            assert entry["why"][1:] in reasons


def test_every_objective_is_there_with_its_figures(drill: Drill) -> None:
    page = page_of(drill)
    if not drill.summary["objectives"]:
        return
    table = page.one("table", "cards")
    bodies = [element for element in table.inner if element.tag == "tbody"]
    for entry, body in zip(drill.summary["objectives"], bodies, strict=True):
        assert any(one.has(entry["verdict"]) and one.tag == "span" for one in body.inner)
        if entry["judged"] is None:
            assert "not measured" in body.text


def test_the_missed_objective_shows_limit_measured_judged_margin_and_why() -> None:
    table = page_of(samples.unsafe_acks()).one("table", "cards")
    row = [element for element in table.inner if element.tag == "tbody"][-1]
    cells = [" ".join(one.text.split()) for one in row.inner if one.tag in ("th", "td")]
    assert cells == [
        "Acknowledged records lost",
        "0 records",
        "53 records",
        "53 records",
        "over by 53 records",
        "Missed",
        "53 acknowledged records are lost, 0 are allowed.",
    ]


def test_a_censored_recovery_says_at_least() -> None:
    page = page_of(samples.never_back())
    assert any("not restored; at least 31.2 s" in text for text in page.text_of("td"))


def test_every_mark_is_in_the_table_and_in_both_charts() -> None:
    drill = samples.broker_loss()
    page = page_of(drill)
    marks = sorted(drill.history.marks, key=lambda mark: mark.at_ns)
    rows = page.text_of("tr")
    for number, mark in enumerate(marks, 1):
        assert any(row.startswith(str(number)) and mark.label in row for row in rows)
    for chart in page.all("svg", "chart"):
        badges = [one.text for one in chart.inner if one.tag == "text" and one.has("number")]
        assert sorted(badges) == [str(number) for number in range(1, len(marks) + 1)]


def test_loss_is_shown_with_examples() -> None:
    drill = samples.unsafe_acks()
    (stream, seq), *others = drill.summary["loss"]["examples"]["lost"]
    cells = page_of(drill).text_of("td")
    shown = next(cell for cell in cells if cell.startswith("partition"))
    assert shown.startswith(f"partition {stream}, seq {seq}; ")
    assert shown.endswith(f"; and {53 - 1 - len(others)} more")


def test_foreign_text_is_escaped_and_names_no_place_on_this_machine() -> None:
    html = render_html(*samples.hostile().arguments())
    page = Page(html)
    assert "<script" not in html
    assert '<script>alert("x")</script>' in page.one("body").text
    assert "/home/" not in html
    assert "someone" not in html
    assert "/var/" not in html
    assert "/srv/" not in html
    assert "/tmp/" not in html
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\ud800-\udfff]", html)


def test_what_was_not_measured_says_so() -> None:
    page = page_of(samples.nothing_measured())
    assert page.text_of("span", "unmeasured") == ["not measured"] * 8
    assert "Loss was not measured in this drill." in page.text_of("p")
    assert "No operations were recorded, so there is nothing to draw." in page.text_of("p")


def test_tables_and_charts_can_be_read_aloud(drill: Drill) -> None:
    page = page_of(drill)
    assert {cell.attributes.get("scope") for cell in page.all("th")} <= {"col", "row"}
    for chart in page.all("svg", "chart"):
        title, description = [one for one in chart.inner if one.tag in ("title", "desc")]
        assert chart.attributes["role"] == "img"
        assert chart.attributes["aria-labelledby"].split() == [title.attributes["id"], description.attributes["id"]]
        assert "of the first fault" in description.text or "of the record's clock" in description.text


def test_nothing_is_drawn_outside_a_chart(drill: Drill) -> None:
    for chart in page_of(drill).all("svg", "chart"):
        width, height = map(float, chart.attributes["viewbox"].split()[2:])
        for shape in chart.inner:
            places = {name: float(shape.attributes[name]) for name in ("x", "x1", "x2") if name in shape.attributes}
            assert all(0 <= place <= width for place in places.values()), shape.attributes
            heights = {name: float(shape.attributes[name]) for name in ("y", "y1", "y2") if name in shape.attributes}
            assert all(0 <= place <= height for place in heights.values()), shape.attributes
            assert "nan" not in shape.attributes.get("d", "")


def test_names_of_marks_do_not_cover_each_other() -> None:
    """Boxes of the texts, at the widths that the layout assumes, for marks 20 ms to 5 s apart."""
    chart = page_of(samples.broker_loss()).all("svg", "wide")[0]
    boxes = []
    for shape in chart.inner:
        if shape.tag == "text" and any(shape.has(sort) for sort in ("fault", "heal", "load")) and shape.has("halo"):
            width, x = len(shape.text) * 12 * 0.56, float(shape.attributes["x"])
            left = x - width if shape.attributes.get("text-anchor") == "end" else x
            boxes.append((left, left + width, float(shape.attributes["y"])))
    assert len(boxes) == 6
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] != other[2] or one[1] <= other[0] or other[1] <= one[0]


def test_a_long_record_has_a_close_view_of_the_fault_first() -> None:
    drill = samples.long_run(count=200_000)
    captions = page_of(drill).text_of("figcaption")
    assert [caption.split(",")[0] for caption in captions] == ["Around the fault", "The whole record"]


def test_a_million_operations_make_a_small_page_soon() -> None:
    drill = samples.long_run()
    begin = time.process_time()
    html = render_html(*drill.arguments())
    took_s = time.process_time() - begin
    assert len(html.encode()) < 400_000
    assert took_s < 3


def test_many_marks_and_outages_keep_the_page_small() -> None:
    made = samples.flapping()
    outages = [[20 + 0.1 * number, 20.06 + 0.1 * number] for number in range(300)]
    marks = tuple(mark for _ in range(20) for mark in made.history.marks)
    crowded = Drill(made.summary, {**made.recovery, "outages": outages}, replace(made.history, marks=marks))
    html = render_html(*crowded.arguments())
    assert len(html.encode()) < 400_000
    assert "And 280 more outages." in Page(html).text_of("p")


def test_an_empty_summary_still_says_that_nothing_is_known() -> None:
    history = samples.without_operations().history
    page = Page(render_html({}, {}, history))
    assert page.one("h1").text.strip() == "Unknown"
    assert "No objective was judged." in page.text_of("p")


def colours(style: str) -> list[dict[str, str]]:
    """The variables of the light, the dark and the printed page."""
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    light, dark, paper = (dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in blocks)
    return [light, {**light, **dark}, {**light, **paper}]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_contrasts_with_its_ground() -> None:
    html = render_html(*samples.broker_loss().arguments())
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    for scheme in colours(style[1]):
        for name in ("ink", "soft", "met", "missed", "unknown"):
            assert contrast(scheme[name], scheme["page"]) >= 4.5, (name, scheme)
        for verdict in ("met", "missed", "unknown"):
            assert contrast(scheme[f"on-{verdict}"], scheme[f"{verdict}-ground"]) >= 4.5, (verdict, scheme)
        assert contrast(scheme["ink"], scheme["faint"]) >= 4.5
        assert contrast(scheme["curve"], scheme["page"]) >= 3
