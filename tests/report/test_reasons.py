"""The headline and the reasons: what kept a drill from being met stands there, also where no objective says it."""

from dataclasses import asdict

from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.summary import Check, Drill, summarise, unmeasured
from chaosdrills.report.render import render_html, render_markdown
from tests.report import samples
from tests.report.pages import Page

LIMITS = Limits(rto_s=600, rpo_s=900, max_lost=0)
FAILED = Check("activities", False, "failed: 'start the broker again' (exit status 1)")


def about(*checks: Check) -> Drill:
    return Drill("d1", "kafka", "fault", "A broker is lost", "2026-11-23T08:00:00Z", checks=checks)


def above_the_tables(sample: samples.Drill, *checks: Check, limits: Limits = LIMITS) -> list[str]:
    """The headline and the reasons of the Markdown; the HTML must say the same reasons."""
    judgement = judge(sample.history, limits)
    arguments = (summarise(about(*checks), judgement), judgement.as_dict(), sample.history)
    lines = render_markdown(*arguments).splitlines()
    headline = next(at for at, line in enumerate(lines) if line.startswith("**"))
    tables = next(at for at, line in enumerate(lines) if line.startswith("## "))
    said = [line.removeprefix("- ") for line in lines[headline + 1 : tables] if line.startswith("- ")]
    page = Page(render_html(*arguments))
    assert len(page.one("ul", "reasons").inner) == len(said)
    return [lines[headline], *said]


def test_a_failed_check_alone_is_the_reason() -> None:
    headline, *reasons = above_the_tables(samples.broker_loss(), FAILED)
    assert headline == "**All 3 objectives met, but a check failed: the figures cannot be relied on.**"
    assert reasons == ["Activities: failed: 'start the broker again' (exit status 1)."]


def test_one_objective_and_a_failed_check() -> None:
    headline, *_ = above_the_tables(samples.broker_loss(), FAILED, limits=Limits(rto_s=600))
    assert headline == "**The objective met, but a check failed: the figures cannot be relied on.**"


def test_a_failed_check_comes_before_what_is_undecided() -> None:
    headline, *reasons = above_the_tables(samples.never_back(), FAILED)
    assert headline.endswith("objectives undecided: what was not measured is not met.**")
    assert reasons[0] == "Activities: failed: 'start the broker again' (exit status 1)."
    assert reasons[1].startswith("Recovery time (RTO): ")
    assert len(reasons) == len(set(reasons))


def test_reasons_of_objectives_are_said_once() -> None:
    for sample in (samples.broker_loss(), samples.unsafe_acks()):
        _, *reasons = above_the_tables(sample, Check("activities", True, "all 3 succeeded"))
        assert all(reason.split(":")[0] in OBJECTIVES for reason in reasons), reasons
        assert len(reasons) == len(set(reasons)) >= 1


OBJECTIVES = ("Recovery time (RTO)", "Data loss as time (RPO)", "Acknowledged records lost")


def test_a_drill_without_a_judgement_says_why() -> None:
    summary = unmeasured(about(), "no Kafka broker answers")
    text = render_markdown(summary, {}, samples.without_operations().history)
    assert "**No objective was judged.**" in text
    assert "- No Kafka broker answers." in text
    assert asdict(Check("record", False, "no Kafka broker answers")) in summary["checks"]
