"""The argument `polls`: what is taken, what is refused, and that no message repeats what may be secret."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.core.judge import Limits
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UsageError
from chaosdrills.observe.endpoints import NAMES, endpoints_of, require_often
from chaosdrills.observe.expectation import Bounds, Expectation
from chaosdrills.observe.exposition import Selector
from chaosdrills.observe.tolerances import limits_of

APP = {"name": "app", "url": "https://app.example/health"}


def test_what_stands_there_and_what_does_not() -> None:
    (plain, full) = endpoints_of(
        [
            {"name": "app", "url": "http://127.0.0.1:8080"},
            {
                "name": "queue", "url": "https://[::1]/metrics?a=b",
                "rate_per_s": "5", "timeout_s": 0.5, "keep_alive": True,
                "expect": {"status": [200, 503], "json": "a.b", "equals": None, "metric": 'q{x="y"}', "at_least": 1},
            },
        ]
    )  # fmt: skip
    assert (plain.rate_per_s, plain.timeout_s, plain.keep_alive, plain.expectation) == (20, 1, False, Expectation())
    assert (plain.host, plain.port, plain.secure, full.host, full.port, full.secure) == (
        "127.0.0.1", 8080, False, "::1", 443, True,
    )  # fmt: skip
    assert (full.rate_per_s, full.timeout_s, full.keep_alive) == (5, 0.5, True)
    assert full.request.startswith(b"GET /metrics?a=b HTTP/1.1\r\nHost: [::1]\r\n")
    bounds = Bounds(Selector("q", {"x": "y"}), 1)
    assert full.expectation == Expectation(frozenset({200, 503}), ("a", "b"), None, bounds)
    assert endpoints_of(None) == endpoints_of([]) == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"nme": "x"}, "there is no 'nme'. Try: did you mean name?"),
        ({"colour": "x"}, "there is no 'colour'. Try: what there is: name, url, "),
        ({"expect": {"stauts": 200}}, "there is no 'stauts'. Try: did you mean status?"),
        ({"name": ""}, "the poll number 1 cannot be used: its name is none"),
        ({"name": 7}, "its name is none"),
        ({"name": "a\nb"}, "its name is none"),
        ({"name": "x" * 41}, "its name is none"),
        ({"url": 7}, "its url is no text"),
        ({"url": "http://a b/"}, "its url is no text, or has characters"),
        ({"url": "http://h/\r\nX: y"}, "its url is no text, or has characters"),
        ({"url": "http://bücher.example/"}, "its url is no text, or has characters"),
        ({"url": "ftp://h/"}, "its url is none of http or https with a host"),
        ({"url": "app:8080"}, "its url is none of http or https with a host"),
        ({"url": "http:///health"}, "its url is none of http or https with a host"),
        ({"url": "http://h..h/"}, "its url is none of http or https with a host"),
        ({"url": "http://h:0/"}, "its url is none of http or https with a host"),
        ({"url": "http://h:99999/"}, "its url is none"),
        ({"url": "http://[::1/"}, "its url is none"),
        ({"rate_per_s": 0}, "its rate_per_s is 0. Try: give a number from 0.01 to 1000."),
        ({"rate_per_s": True}, "its rate_per_s is True"),
        ({"rate_per_s": "fast"}, "its rate_per_s is 'fast'"),
        ({"rate_per_s": 10**400}, "its rate_per_s is 1000"),
        ({"timeout_s": float("nan")}, "its timeout_s is nan"),
        ({"timeout_s": 31}, "its timeout_s is 31"),
        ({"keep_alive": "yes"}, "its keep_alive is 'yes'. Try: give true or false."),
        ({"expect": 200}, "its expect is no object"),
        ({"expect": {}}, "its expect is no object"),
        ({"expect": {"status": "200"}}, "its expect has a status that is none"),
        ({"expect": {"status": []}}, "its expect has a status that is none"),
        ({"expect": {"status": [200, True]}}, "its expect has a status that is none"),
        ({"expect": {"status": 99}}, "its expect has a status that is none"),
        ({"expect": {"json": "a"}}, "its expect has 'json' without 'equals' and 'differs'"),
        ({"expect": {"json": "a", "equals": 1, "differs": 2}}, "has 'json' with both 'equals' and 'differs'"),
        ({"expect": {"differs": 1}}, "its expect has 'differs' without 'json'"),
        ({"expect": []}, "its expect is an empty list, or too long a one"),
        ({"expect": [{"status": 200}] * 11}, "its expect is an empty list, or too long a one"),
        ({"expect": [{"status": 200}, 7]}, "its expect is no object"),
        ({"expect": [{"status": 200}, {"jsn": 1}]}, "there is no 'jsn'. Try: did you mean json?"),
        ({"body": "text"}, "its body is no object"),
        ({"expect": {"equals": 1}}, "its expect has 'equals' without 'json'"),
        ({"expect": {"json": "a..b", "equals": 1}}, "its expect has a json that is no path"),
        ({"expect": {"json": 7, "equals": 1}}, "its expect has a json that is no path"),
        ({"expect": {"at_least": 1}}, "its expect has 'at_least' without 'metric'"),
        ({"expect": {"metric": "up"}}, "its expect has a metric without a bound"),
        ({"expect": {"metric": "up", "at_most": "1"}}, "its expect has an at_most that is no number"),
        ({"expect": {"metric": "up", "at_most": float("nan")}}, "its expect has an at_most that is no number"),
        ({"expect": {"metric": "up", "at_least": 2, "at_most": 1}}, "its expect has an at_least above its at_most"),
        ({"expect": {"metric": "1up", "at_least": 2}}, "its expect has a metric that is none"),
        ({"expect": {"metric": 'up{a="b"', "at_least": 2}}, "its expect has a metric that is none"),
        ({"expect": {"metric": 'up{a="b" c="d"}', "at_least": 2}}, "its expect has a metric that is none"),
        ({"expect": {"metric": 7, "at_least": 2}}, "its expect has a metric that is none"),
    ],
)  # fmt: skip
def test_what_cannot_be_polled(change: dict[str, Any], why: str) -> None:
    for written in (True, False):
        with pytest.raises(UsageError) as caught:
            endpoints_of([{**APP, **change}], written=written)
        assert why in str(caught.value)
        assert caught.value.hint


def test_what_is_documented_is_taken() -> None:
    text = (Path(__file__).parents[2] / "docs" / "users.md").read_text()
    polls, probe = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    given = json.loads("{" + polls + "}")["polls"]
    app, queue, features = endpoints_of(given, written=True)
    assert (app.name, app.rate_per_s, app.timeout_s, app.keep_alive) == ("app", 20, 1, False)
    assert app.expectation == Expectation(frozenset({200}), ("database", "state"), "up")
    assert queue.expectation.bounds == Bounds(Selector("queue_length", {"queue": "in"}), at_most=1000)
    dated = Expectation(path=("results", "1", "event_timestamps", "0"), value="1970-01-01T00:00:00Z", differs=True)
    value = Expectation(path=("results", "1", "values", "0"), differs=True, others=(dated,))
    assert features.expectation == value
    hypothesis = {"title": "t", "probes": [json.loads(probe)]}
    assert limits_of({"steady-state-hypothesis": hypothesis}) == Limits(max_unavailable_s=60)
    for key in NAMES:
        assert f"| `{key}` | " in text


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("app", "polls are no list"),
        ({}, "polls are no list"),
        (7, "polls are no list"),
        ([APP] * 21, "or too long a one"),
        (["app"], "the poll number 1 cannot be used: it is no object"),
        ([APP, {"name": "b"}], "the poll 'b' cannot be used: it has no 'url'"),
        ([{"url": "http://h"}], "the poll number 1 cannot be used: it has no 'name'"),
        ([APP, APP], "two polls are named 'app'"),
    ],
)
def test_a_list_that_is_none(given: Any, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        endpoints_of(given)
    assert why in str(caught.value)


def test_what_is_known_only_in_a_run_is_passed_over() -> None:
    assert endpoints_of("${polls}", written=True) == ()
    given = [{"name": "app", "url": "${app_url}/health", "rate_per_s": "${rate}", "expect": {"status": "${status}"}}]
    assert endpoints_of(given, written=True)[0].name == "app"
    with pytest.raises(UsageError, match="its url is none"):
        endpoints_of(given)
    with pytest.raises(UsageError, match="did you mean timeout_s"):
        endpoints_of([{**given[0], "timeout": 1}], written=True)


def test_a_password_comes_from_the_secrets_and_is_repeated_nowhere() -> None:
    given = [{"name": "app", "url": "https://user:hush@app.example/"}]
    with pytest.raises(UsageError, match="its url holds a user's name or password") as caught:
        endpoints_of(given, written=True)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(endpoints_of(given))
    for url in ("https://user:hush@app.example:x/", "ftp://hush@h/", "http://hush hush/", "http://[hush/"):
        with pytest.raises(UsageError) as caught:
            endpoints_of([{"name": "app", "url": url}])
        assert "hush" not in str(caught.value)


def test_an_endpoint_is_polled_more_often_than_its_poller_may_be_silent() -> None:
    require_often(endpoints_of([{**APP, "rate_per_s": 0.2}]), Parameters())
    with pytest.raises(UsageError, match=r"the poll 'app' comes every 10 s, and after fresh_s \(5 s\)"):
        require_often(endpoints_of([{**APP, "rate_per_s": 0.1}]), Parameters())


@pytest.mark.parametrize(
    ("page", "values"),
    [
        ('q{a="b"} 1\nq{a="c"} 2\n', [1.0]),
        ('q{ a = "b" , c="\\"}\\\\\\n" , } +Inf 5\n', [float("inf")]),
        ('q{c="a=\\"b\\"",a="b"}\t.5e1', [5.0]),
        ('q{a="b"} 1\r\nq{a="b",} -2e-1\r\n', [1.0, -0.2]),
        ("q 1\nqq 2\n", []),
        ('# q{a="b"} 1\n q{a="b"} 1\nq_total{a="b"} 3\n', []),
        ("", []),
    ],
)
def test_samples(page: str, values: list[float]) -> None:
    assert Selector("q", {"a": "b"}).values(page) == values


@pytest.mark.parametrize(
    "line",
    ['q{a="b"}', 'q{a="b"} one', 'q{a="b" 1', "q{a=b} 1", 'q{a="b"} 1 2 3', 'q{a="b",a="b"} 1', 'q{a="b"} 1_0', "q "],
)
def test_a_malformed_sample_is_no_sample(line: str) -> None:
    with pytest.raises(ValueError, match=r"its (labels are malformed|value is no number)"):
        Selector("q", {"a": "b"}).values(f"up 1\n{line}\n")
