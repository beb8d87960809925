"""Probes that serve every service: what a client sees now, and what the judge found once the load has ended.

All answer a flat dict without null, for tolerances such as
``{"type": "range", "target": "rto_judged_s", "range": [0, 600]}``, and fail where they cannot know.
"""

# `chaos discover` calls dict a mapping, and dict[str, Any] an object.
# mypy: disable-error-code="type-arg"

from chaoslib.exceptions import ActivityFailed
from chaoslib.types import Configuration, Secrets

from chaosdrills.core.attempts import Attempts, worst_of
from chaosdrills.core.judge import Judgement
from chaosdrills.core.verdict import Finding, worst
from chaosdrills.observe.actions import failing, typed
from chaosdrills.observe.current import required

RESTART_LIMITS = ("max_attempts", "max_attempts_per_min")
RESTARTS = ("worst_per_min", "worst_judged", "mean_per_min", "mean_gap_s", "backs_off", "resets", "silent_s")

__all__ = ["availability", "data_loss", "freshness", "recovery_time", "restart_attempts", "throughput"]


def throughput(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Acknowledged writes a second over the last seconds of load: `{"per_s", "bad_per_s", "since_last_ack_s"}`.

    `share_of_rate` is `per_s` as a share of what is sent, so that a tolerance holds for any rate.
    """
    with failing():
        drill = required("throughput")
        figures = drill.figures()
    names = ("per_s", "bad_per_s", "since_last_ack_s")
    known = {name: figures[name] for name in names if figures[name] is not None}
    return {**known, "share_of_rate": figures["per_s"] / drill.plan.rate_per_s}


def freshness(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """The age of the oldest acknowledged write that readers have not seen: `{"age_s"}`."""
    with failing():
        figures = required("freshness").figures()
    age_s = figures.get("age_s")
    if figures.get("stream_kind") == "register":
        raise ActivityFailed("freshness is not defined for registers: their reads count for recovery.")
    if age_s is None:
        raise ActivityFailed("freshness is not measured: this workload has no reader.")
    return {"age_s": age_s}


def recovery_time(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """How long recovery took: `rto_judged_s` (measured plus resolution), `rto_actual_s`, `resolution_s`, and so on.

    Before the method has ended it answers 0 with `measured: false`. Fails if recovery was not measured.
    """
    judgement = _judgement("recovery_time")
    if judgement is None:
        return {"measured": False, "rto_judged_s": 0.0, "rto_actual_s": 0.0, "fresh_judged_s": 0.0}
    answer = {
        "measured": True,
        "rto_judged_s": judgement.rto_judged_s,
        "rto_actual_s": judgement.as_dict()["rto_actual_s"],
        "fresh_judged_s": judgement.fresh_judged_s,
        "resolution_s": judgement.as_dict()["resolution_s"],
    }
    if answer["rto_judged_s"] is None:
        raise ActivityFailed(_why_not("the recovery time", judgement.rto))
    limit_s = judgement.limits.rto_s
    _refuse_hopeful("the recovery time", judgement.rto, limit_s is not None and answer["rto_judged_s"] <= limit_s)
    if judgement.limits.fresh and answer["fresh_judged_s"] is None:
        raise ActivityFailed(_why_not("freshness", judgement.rto))
    return {name: value for name, value in answer.items() if value is not None}


def data_loss(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """Which acknowledged data is gone: `rpo_judged_s` in seconds, `lost` in records, and the other counts.

    Before the method has ended it answers 0 with `measured: false`. Fails if loss could not be decided.
    """
    judgement = _judgement("data_loss")
    if judgement is None:
        return {"measured": False, "rpo_judged_s": 0.0, "lost": 0, "stale": 0}
    figures = judgement.as_dict()
    limits = judgement.limits
    if figures["rpo_actual_s"] is None or figures["lost"] is None:
        raise ActivityFailed(_why_not("the loss", judgement.rpo))
    passes = (limits.rpo_s is None or figures["rpo_actual_s"] <= limits.rpo_s) and (
        limits.most_lost is None or figures["lost"] <= limits.most_lost
    )
    _refuse_hopeful("the loss", judgement.rpo, passes)
    names = ("attempted", "acknowledged", "lost", "recovered", "unexpected", "duplicated", "reordered", "stale")
    counts = {name: figures[name] for name in names if figures[name] is not None}
    return {"measured": True, "rpo_judged_s": figures["rpo_actual_s"], **counts}


def availability(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """For how long a polled endpoint was unavailable: `unavailable_judged_s` (measured plus resolution), and so on.

    Before the method has ended it answers 0 with `measured: false`, and so it does where no endpoint has a URL: that is
    not judged then. Fails if availability was not measured.
    """
    judgement = _judgement("availability")
    plan = required("availability").plan
    if judgement is None or (plan.not_polled and not plan.polls):
        return {"measured": False, "unavailable_judged_s": 0.0, "unavailable_s": 0.0}
    figures, judged_s = judgement.as_dict(), judgement.unavailable_judged_s
    finding = judgement.findings.get("max_unavailable_s", Finding("unknown", (judgement.availability.why,)))
    if judged_s is None:
        raise ActivityFailed(_why_not("availability", finding))
    limit_s = judgement.limits.max_unavailable_s
    _refuse_hopeful("availability", finding, limit_s is not None and judged_s <= limit_s)
    return {
        "measured": True,
        "unavailable_judged_s": judged_s,
        "unavailable_s": figures["unavailable_s"],
        "resolution_s": figures["unavailable_resolution_s"],
    }


def restart_attempts(configuration: Configuration = None, secrets: Secrets = None) -> dict:
    """How often a watched self-healer tried to restart something: `attempts`, `attempts_judged`, `worst_judged`, ...

    `backs_off` is there only where it is certain. Before the method has ended it answers 0 with `measured: false`.
    Fails if the attempts could not be counted.
    """
    judgement = _judgement("restart_attempts")
    if judgement is None:
        return {"measured": False, "attempts": 0, "attempts_judged": 0, "worst_per_min": 0, "worst_judged": 0}
    found = worst_of(judgement.attempts) or Attempts("", why="no restart attempts were watched")
    findings = [judgement.findings[name] for name in RESTART_LIMITS if name in judgement.findings]
    finding = worst(findings) if findings else Finding("unknown", (found.why or found.doubt,))
    known = found.judged is not None and (finding.verdict != "unknown" or not findings)
    if not known and finding.verdict != "missed":
        raise ActivityFailed(_why_not("the number of restart attempts", finding))
    figures = {name: judgement.as_dict()[f"restart_{name}"] for name in RESTARTS}
    shown = {
        "attempts": found.count,
        "attempts_judged": found.count if found.judged is None else found.judged,
        **figures,
    }
    return {"measured": True, **{name: value for name, value in shown.items() if value is not None}}


def _judgement(what: str) -> Judgement | None:
    """The judgement once the load has ended; None until the method has."""
    with failing():
        drill = required(what)
        if drill.over:
            return drill.judged()
    if drill.method_over:
        raise ActivityFailed(f"{what} is not known: the load has not ended, so nothing was judged.")
    return None


def _refuse_hopeful(what: str, finding: Finding, passes: bool) -> None:
    """A figure that a tolerance would pass, though the judge cannot say `met`, must not read as met."""
    if passes and finding.verdict == "unknown":
        raise ActivityFailed(_why_not(what, finding))


def _why_not(what: str, finding: Finding) -> str:
    return f"{what} is not known: {'; '.join(finding.why) or 'it was not judged'}."


typed(__name__)
