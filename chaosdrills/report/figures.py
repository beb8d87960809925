"""What was measured, in words: the figures of recovery and loss, examples of what is gone, and the parameters."""

from collections.abc import Mapping
from typing import Any

from chaosdrills.core.history import History, to_ns
from chaosdrills.report import wording
from chaosdrills.report.tables import Cell, Table, censored, figure
from chaosdrills.report.timeline import first_fault_ns

NOT_APPLICABLE = "not applicable"
MOST_GAPS = 8  # between restart attempts, in a table

LOSS_WORDS = {
    "attempted": "Writes the drill attempted",
    "acknowledged": "Writes the service acknowledged as promised",
    "failed": "Writes known not to be applied",
    "unknown": "Writes that may or may not be applied",
    "lost": "Acknowledged, and gone after recovery",
    "recovered": "Not acknowledged, and found all the same",
    "unexpected": "Found, but never written or damaged (reported, not judged)",
    "duplicated": "Found again after the first time",
    "reordered": "Found after a newer write",
    "stale": "Reads of less than was acknowledged before them",
}

PARAMETER_WORDS = {
    "stable_s": "Service must be good for this long to count as restored",
    "recovered_ratio": "Share of the baseline that counts as full throughput",
    "slow_s": "An acknowledgement that takes longer is bad",
    "gap_s": "The shortest span without acknowledgements that is an outage",
    "baseline_s": "How far before the fault the baseline looks back",
    "watch_s": "Load must go on for this long after the last fault or heal",
    "fresh_s": "The age of data that a reader may see",
    "recovery": "self: the service must recover before it is healed; healed: the heal is part of its recovery",
    "rto_s": "Objective: the longest recovery allowed",
    "rpo_s": "Objective: the longest span of acknowledged writes that may be lost",
    "max_lost": "Objective: how many acknowledged records may be lost",
    "fresh": "Whether data must be fresh again within the RTO",
    "max_unavailable_s": "Objective: for how long a polled endpoint may be unavailable",
    "max_attempts": "Objective: how often a self-healer may try to restart something",
    "max_attempts_per_min": "Objective: how often it may try within any minute",
}


def recovery(values: Mapping[str, Any], history: History) -> Table:
    """The figures of recovery with what each means; empty if nothing of it was looked at."""
    if not values:
        return Table((), ())
    baseline = values.get("baseline_per_s")
    absent = wording.NOT_MEASURED if baseline is None else "none seen"
    took = censored(values) if values.get("rto_censored") else wording.seconds(values.get("rto_actual_s"))
    register = history.stream_kind == "register"
    fresh = NOT_APPLICABLE if register else wording.seconds(values.get("freshness_s"))
    per_s = wording.NOT_MEASURED if baseline is None else f"{wording.number(baseline)}/s"
    rows = (
        ("Restored", took, "From the fault until service was good again and stayed good"),
        (
            "Resolution",
            wording.seconds(values.get("resolution_s")),
            "Shorter stops cannot be seen; added when judged",
        ),
        ("Detection", _or(values.get("detection_s"), absent), "From the fault to the first bad operation"),
        ("First success", _or(values.get("first_success_s"), absent), "From the fault to the end of the first outage"),
        ("Fresh data", fresh, "From the fault until readers saw new data in time again"),
        ("Baseline", per_s, "Good operations per second before the fault, all streams"),
        *_unavailable(values),
        *_restarts(values),
    )
    return Table(
        ("Figure", "Value", "Meaning"),
        tuple((Cell(name), figure(value), Cell(meaning)) for name, value, meaning in rows),
    )


def _unavailable(values: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """What users saw, where that was looked at."""
    if "unavailable_s" not in values:
        return ()
    seen = wording.seconds(values.get("unavailable_resolution_s"))
    meaning = f"Time after the fault in which a polled endpoint was not good, seen to within: {seen}"
    return (("Unavailable", wording.seconds(values["unavailable_s"]), meaning),)


def _restarts(values: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """What a self-healer tried, where that was looked at."""
    if "restart_attempts" not in values:
        return ()
    count, resets, worst, mean = (
        wording.quantity(values.get(f"restart_{name}"), "")
        for name in ("attempts", "resets", "worst_per_min", "mean_per_min")
    )
    silent, backs_off = wording.seconds(values.get("restart_silent_s")), values.get("restart_backs_off")
    patience = "not certain" if backs_off is None else "yes" if backs_off else "no"
    shown = list(map(wording.number, values.get("restart_gaps_s") or ()))
    gaps = ", ".join(shown[:MOST_GAPS]) + (", …" if len(shown) > MOST_GAPS else "") or "none"
    looks = f"From the fault to the end of load, as its self-healer counts; never unseen for longer than: {silent}"
    return (
        ("Restart attempts", count, f"{looks}; times that its count began anew: {resets}"),
        ("Attempts a minute", worst, f"The most within any minute; on average: {mean}"),
        ("Backs off", patience, f"Whether attempts come at growing gaps; in seconds: {gaps}"),
    )


def _or(value: float | None, absent: str) -> str:
    return absent if value is None else wording.seconds(value)


def loss(values: Mapping[str, Any], history: History) -> Table:
    """The counts of writes with what each means."""
    other = "stale" if history.stream_kind == "log" else "reordered"
    rows = []
    for name, meaning in LOSS_WORDS.items():
        value = values.get(name)
        missing = NOT_APPLICABLE if name == other else wording.NOT_MEASURED
        text = missing if value is None else wording.plain(value)
        rows.append((Cell(name.capitalize()), figure(text, "number"), Cell(meaning)))
    return Table(("Count", "Value", "Meaning"), tuple(rows))


def loss_window(values: Mapping[str, Any], history: History) -> str:
    """When what is lost was acknowledged, as a sentence; empty if nothing is known to be lost."""
    window = values.get("window_s")
    if not window or None in window:
        return ""
    begin, end = window
    origin = first_fault_ns(history)
    length = f"The lost writes lie in a window of {wording.seconds(end - begin)}"
    on_clock = f"{wording.instant(begin)} to {wording.instant(end)} on the record's clock"
    if origin is None:
        return f"{length}: {on_clock}."
    relative = f"{wording.since(to_ns(begin), origin)} to {wording.since(to_ns(end), origin)} from the fault"
    return f"{length}: {relative}, {on_clock}."


def examples(values: Mapping[str, Any], history: History) -> Table:
    """The first few of each anomaly: partition 0, seq 4711."""
    rows = []
    for name, shown in (values.get("examples") or {}).items():
        listed = "; ".join(_example(one, history) for one in shown)
        count = values.get(name)
        more = count - len(shown) if isinstance(count, int) else 0
        if listed:
            rest = f"; and {wording.number(more)} more" if more > 0 else ""
            rows.append((Cell(wording.words(name).capitalize()), Cell(listed + rest)))
    return Table(("Anomaly", "First examples"), tuple(rows))


def _example(one: Any, history: History) -> str:
    stream, seq = (*one, None)[:2] if isinstance(one, list | tuple) else (one, None)
    noun = "partition" if history.service == "kafka" else "key" if history.stream_kind == "register" else "stream"
    return f"{noun} {wording.public(stream)}, " + ("damaged" if seq is None else f"seq {wording.public(seq)}")


def parameters(values: Mapping[str, Any] | None) -> Table:
    """Each parameter, its value and what it means."""
    rows = tuple(
        (
            Cell(wording.public(name), "code"),
            Cell(_parameter(name, value), "value"),
            Cell(PARAMETER_WORDS.get(name, "")),
        )
        for name, value in (values or {}).items()
    )
    return Table(("Parameter", "Value", "Meaning"), rows)


def _parameter(name: str, value: Any) -> str:
    if value is None:
        return "none set"
    text = wording.plain(value)
    return f"{text} s" if str(name).endswith("_s") and isinstance(value, int | float) else text
