"""The argument `watches`: what is taken, what is refused, and that no message repeats what may be secret."""

from pathlib import Path
from typing import Any

import pytest

from chaosdrills.core.judge import Limits
from chaosdrills.errors import UsageError
from chaosdrills.observe.arguments import watched_of
from chaosdrills.observe.counts import Page
from chaosdrills.observe.exposition import Selector
from chaosdrills.observe.spec import ObserverSpec
from chaosdrills.observe.watches import Watch, watches_of

PAGE = {"name": "healer", "url": "https://healer.example/metrics", "metric": 'tries_total{job="a"}'}
SOURCE = {"name": "keeper", "source": "tests.observe.counting:Counting", "arguments": {"path": "/hush"}}


def test_what_stands_there_and_what_does_not() -> None:
    plain, full, other = watches_of(
        [PAGE, PAGE | {"name": "b", "every_s": "0.5", "timeout_s": 2, "factor": 2, "cap_s": 60}, SOURCE]
    )
    assert plain.endpoint is not None
    assert (plain.endpoint.host, plain.endpoint.port, plain.endpoint.secure) == ("healer.example", 443, True)
    assert plain.metric == Selector("tries_total", {"job": "a"})
    assert (plain.every_s, plain.timeout_s, plain.factor, plain.cap_s) == (0.1, 1.0, 1.5, 30.0)
    assert full.about() == {"every_s": 0.5, "factor": 2.0, "cap_s": 60.0}
    assert full.endpoint is not None
    assert full.endpoint.timeout_s == 2.0
    assert isinstance(plain.begin(), Page)
    assert other == Watch("keeper", source=SOURCE["source"], arguments={"path": "/hush"})
    assert watches_of(None) == watches_of([]) == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"nme": "x"}, "the watch 'healer' cannot be used: there is no 'nme'. Try: did you mean name?"),
        ({"colour": "x"}, "there is no 'colour'. Try: what there is: name, url, "),
        ({"name": ""}, "the watch number 1 cannot be used: its name is none"),
        ({"name": "x" * 41}, "its name is none"),
        ({"url": "ftp://h/"}, "its url is none of http or https with a host"),
        ({"url": ""}, "its url is none of http or https with a host"),
        ({"metric": 'a{b="'}, "its metric is none"),
        ({"metric": 7}, "its metric is none"),
        (
            {"source": "a:B"},
            "it is not clear where its count is. Try: give it url and metric, or source and arguments.",
        ),
        ({"arguments": {}}, "it has arguments and no source"),
        ({"every_s": 0}, "its every_s is 0. Try: give a number from 0.02 to 1."),
        ({"every_s": 2}, "its every_s is 2"),
        ({"timeout_s": "soon"}, "its timeout_s is 'soon'"),
        ({"factor": True}, "its factor is True"),
        ({"cap_s": -1}, "its cap_s is -1"),
    ],
)
def test_what_cannot_be_watched(change: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        watches_of([PAGE | change])
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("healer", "watches are no list"),
        ([PAGE] * 11, "or too long a one"),
        ([PAGE, PAGE], "two watches are named 'healer'"),
        (["healer"], "the watch number 1 cannot be used: it is no object"),
        ([{"name": "a"}], "it is not clear where its count is"),
        ([{"name": "a", "url": "http://h"}], "it is not clear where its count is"),
        ([SOURCE | {"source": 7}], "its source is no text"),
        ([SOURCE | {"arguments": []}], "its source is no text, or its arguments are no object"),
    ],
)
def test_what_is_no_list_of_watches(given: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        watches_of(given)


def test_in_an_experiment_what_is_not_known_yet_is_passed_over() -> None:
    later = {"name": "healer", "url": "${healer_url}", "metric": "${metric}", "every_s": "${every}"}
    (watch,) = watches_of([later], written=True)
    assert watch.name == "healer"
    assert watches_of("${watches}", written=True) == ()
    assert len(watches_of([SOURCE | {"arguments": {"path": "${path}"}}], written=True)) == 1
    with pytest.raises(UsageError, match="there is no source 'nowhere:At'"):
        watches_of([SOURCE | {"source": "nowhere:At"}], written=True)
    with pytest.raises(UsageError, match="a path is missing"):
        watches_of([SOURCE | {"arguments": {}}], written=True)


def test_no_secret_is_repeated() -> None:
    with pytest.raises(UsageError, match="its url holds a user's name or password") as caught:
        watches_of([PAGE | {"url": "http://user:hush@h/metrics"}], written=True)
    assert "hush" not in str(caught.value) + repr(watches_of([SOURCE]))
    spec = ObserverSpec("d", "memory", "a:B", Path("record"), watches=[PAGE | {"url": "http://user:hush@h/"}])
    assert "hush" not in repr(spec)


def test_secrets_go_to_sources_alone() -> None:
    found = watched_of([PAGE, SOURCE], {"secrets": {"password": "hush"}}, Limits())
    assert found == [PAGE, SOURCE | {"arguments": {"path": "/hush", "secrets": {"password": "hush"}}}]
    assert watched_of([SOURCE], {}, Limits()) == [SOURCE]
    assert watched_of(None, {}, Limits()) == []


@pytest.mark.parametrize("limits", [Limits(max_attempts=3), Limits(max_attempts_per_min=3)])
def test_attempts_cannot_be_judged_unwatched(limits: Limits) -> None:
    with pytest.raises(UsageError, match="bounds restart attempts, which cannot be known: no count is watched"):
        watched_of(None, {}, limits)
    assert watched_of([PAGE], {}, limits) == [PAGE]
