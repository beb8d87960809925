"""Whole drills on a service in memory, beside an application that is polled: its minutes are its users'.

Somebody else's fault breaks the application and leaves the service alone. The runs are under way together.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.host.processes import wait_until
from tests.drills.chaos import SHORT, Experiment, Place, Run, foreign
from tests.observe.web import Web

OUT_S = 2.0
LATE_S = 9.0  # after all waits of the drill but the one for endpoints
PASSWORD = "hush-hush"


def described(hurts: Path, limit_s: float, mended: bool = True, waited: bool = False, **poll: object) -> Experiment:
    """The application is broken for two seconds, and then whole again if it is `mended` by the method.

    With `waited` it is not, and the method waits for recovery instead.
    """
    path = {"path": str(hurts / "bad")}
    wait = {"type": "python", "module": "chaosdrills.observe.actions", "func": "wait_recovered"}
    waiting = {"type": "action", "name": "wait", "provider": {**wait, "arguments": {"timeout_s": 60}}}
    mended = mended and not waited
    observe = {"type": "python", "module": "chaosdrills.observe.control"}
    polls = [{"name": "app", "url": "${app_url}", "rate_per_s": 20, **poll}]
    arguments = {
        "name": "users", "service": "memory", "workload": "tests.observe.memory_workload:MemoryWorkload",
        "parameters": dict(SHORT), "baseline_timeout_s": 15, "polls": polls,
        "heals": ["mend the application"] if mended else [],
    }  # fmt: skip
    bounds = (
        ("recovery_time", "rto_judged_s", 60),
        ("data_loss", "lost", 0),
        ("availability", "unavailable_judged_s", limit_s),
    )
    return {
        "title": "Users hardly notice", "description": "They do.",
        "secrets": {"app": {"app_url": {"type": "env", "key": "APP_URL"}}},
        "controls": [{"name": "observe", "provider": {**observe, "arguments": arguments}}],
        "steady-state-hypothesis": {"title": "it holds", "probes": [_probe(*one) for one in bounds]},
        "method": [
            foreign("make", "break the application", arguments=path),
            *([waiting] if waited else [foreign("sleep", "see it broken", arguments={"seconds": OUT_S})]),
            *([foreign("remove", "mend the application", arguments=path), waiting] if mended else []),
        ],
        "rollbacks": [],
    }  # fmt: skip


def _probe(func: str, target: str, limit: float) -> Experiment:
    return {
        "type": "probe", "name": func,
        "provider": {"type": "python", "module": "chaosdrills.observe.probes", "func": func},
        "tolerance": {"type": "range", "target": target, "range": [0, limit]},
    }  # fmt: skip


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    folder = tmp_path_factory.mktemp("users")
    place = Place(folder, "", folder / "state")
    runs, servers = {}, []
    try:
        for name, limit_s, poll in (
            ("met", 30.0, {}),
            ("missed", 1.0, {"keep_alive": True, "expect": {"json": "database", "equals": "up"}}),
            ("never good", 30.0, {"expect": {"status": 204}}),
            ("mended late", 60.0, {"mended": False}),
            ("waited for", 60.0, {"waited": True}),
            ("nowhere", 1.0, {}),
        ):
            hurts = folder / f"what hurts {name}"
            hurts.mkdir()
            servers.append(Web(hurts))
            url = servers[-1].url.replace("//", f"//user:{PASSWORD}@")
            experiment = described(hurts, limit_s, **poll)
            runs[name] = place.start_beside(experiment, name, env={"APP_URL": "" if name == "nowhere" else url})
        yield runs
    finally:
        for run in runs.values():
            run.end_all()
        for server in servers:
            server.close()


def row(run: Run) -> dict[str, object]:
    found: dict[str, object] = next(one for one in run.summary["objectives"] if one["name"] == "max_unavailable_s")
    return found


@pytest.mark.parametrize("ended", ["met"], indirect=True)
def test_users_minutes_stand_beside_writers_minutes(ended: Run) -> None:
    assert (ended.status, ended.line("Verdict")) == (0, "met"), ended.log
    rto = next(one for one in ended.summary["objectives"] if one["name"] == "rto")
    found = row(ended)
    assert rto["actual"] == 0
    assert isinstance(found["actual"], float)
    assert isinstance(found["judged"], float)
    assert OUT_S <= found["actual"] < OUT_S + 10
    assert found["judged"] == pytest.approx(found["actual"] + 0.05)
    assert (found["limit"], found["unit"], found["verdict"]) == (30, "s", "met")
    assert ended.history.poll_streams == ("app",)
    assert ended.summary["environment"]["polls"] == ["app at 20/s"]
    assert "app good" in ended.log


@pytest.mark.parametrize("ended", ["missed"], indirect=True)
def test_users_may_miss_what_writers_do_not_notice(ended: Run) -> None:
    assert (ended.line("Verdict"), row(ended)["verdict"]) == ("missed", "missed"), ended.log
    assert [one["verdict"] for one in ended.summary["objectives"]] == ["met", "met", "missed"]
    assert "the endpoint app was unavailable for" in ended.line("Why")
    assert ended.status == 1


def test_load_goes_on_until_users_can_go_on(started: dict[str, Run]) -> None:
    """The application comes back by itself, when the drill would long be over."""
    run = started["mended late"]

    def bad_s() -> float:
        figures = run.told().get("figures") or {}
        return float(figures.get("endpoints", {}).get("app", {}).get("bad_s", 0))

    assert wait_until(lambda: bad_s() > LATE_S or run.status is not None, 60), run.log
    (run.folder.parent / "what hurts mended late" / "bad").unlink()
    run.end()
    assert (run.line("Verdict"), row(run)["verdict"]) == ("met", "met"), run.log
    assert float(str(row(run)["actual"])) > LATE_S


def test_recovery_is_waited_for_until_users_can_go_on(started: dict[str, Run]) -> None:
    """The application comes back by itself, and only once the drill has said that it waits for it."""
    run = started["waited for"]
    run.wait_for("after the fault; waiting for its users: the endpoint app is not seen good: status 503")
    assert run.told()["phase"] == "wait"
    (run.folder.parent / "what hurts waited for" / "bad").unlink()
    run.end()
    assert (run.line("Verdict"), row(run)["verdict"]) == ("met", "met"), run.log
    (waited,) = [one for one in run.journal["run"] if one["activity"]["name"] == "wait"]
    assert waited["output"] == {"recovered": True, "rto_so_far_s": 0.0}


@pytest.mark.parametrize("ended", ["nowhere"], indirect=True)
def test_an_endpoint_without_a_url_is_not_polled_and_users_are_not_judged(ended: Run) -> None:
    said = "app is not polled, for its URL is empty; for how long users could not go on is not judged"
    assert (ended.status, ended.line("Verdict")) == (0, "met"), ended.log
    assert f"Endpoints: {said}" in ended.log
    assert [one["name"] for one in ended.summary["objectives"]] == ["rto", "max_lost"]
    assert {"name": "polls", "ok": True, "detail": said} in ended.summary["checks"]
    assert ended.summary["environment"]["polls"] == ["app: not polled, its URL is empty"]
    assert said in (ended.drill / "report.html").read_text()
    (users,) = [one for one in ended.journal["steady_states"]["after"]["probes"] if "unavail" in str(one["output"])]
    assert users["output"] == {"measured": False, "unavailable_judged_s": 0.0, "unavailable_s": 0.0}
    assert ended.history.poll_streams == ()


@pytest.mark.parametrize("ended", ["never good"], indirect=True)
def test_nothing_is_injected_while_an_endpoint_is_not_good(ended: Run) -> None:
    assert ended.line("Verdict") == "unknown", ended.log
    assert "(the endpoint app is not seen good: status 200); nothing was injected" in ended.line("Why")
    assert "fault_begin" not in ended.marks()


@pytest.mark.parametrize("ended", ["met", "missed", "never good"], indirect=True)
def test_a_password_is_nowhere(ended: Run) -> None:
    files = [path for path in ended.folder.rglob("*") if path.is_file()]
    assert {"record", "summary.json", "journal.json", "report.html", "observer.log"} <= {path.name for path in files}
    told = [path for path in files if PASSWORD.encode() in path.read_bytes() or b"dXNlcjpod" in path.read_bytes()]
    assert told == []


@pytest.mark.parametrize("ended", ["missed"], indirect=True)
def test_a_record_judged_again_says_the_same(ended: Run) -> None:
    judged = ended.place.drills(
        "judge", str(ended.drill / "record"), "--rto", "60", "--rpo", "60", "--max-unavailable-s", "1", "--json",
        *(f"--{name.replace('_', '-')}={value}" for name, value in SHORT.items()),
    )  # fmt: skip
    found = json.loads(judged.stdout)
    assert (found["unavailable_s"], found["unavailable_verdict"]) == (row(ended)["actual"], "missed")
    assert ended.place.drills("report", str(ended.drill)).stderr == ""
