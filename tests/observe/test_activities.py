"""What the Chaos Toolkit calls a success, and what it is."""

from typing import Any

import pytest

from chaosdrills.observe.activities import hit_nothing, refused


def run(kind: str, output: Any) -> dict[str, Any]:
    return {"activity": {"name": "f", "provider": {"type": kind}}, "status": "succeeded", "output": output}


@pytest.mark.parametrize(
    ("kind", "output", "why"),
    [
        ("process", {"status": 0, "stdout": ""}, ""),
        ("process", {"status": 255, "stdout": ""}, "it ended with exit status 255"),
        ("http", {"status": 204}, ""),
        ("http", {"status": 503}, "the server answered 503"),
        ("python", {"status": 3}, ""),
        ("python", ["pod-1"], ""),
        ("python", None, ""),
        ("python", True, ""),
        ("python", 2, ""),
        ("python", [], "it returned nothing that it hit"),
        ("python", {}, "it returned nothing that it hit"),
        ("python", False, "it returned nothing that it hit"),
        ("python", 0, "it returned nothing that it hit"),
    ],
)
def test_a_fault_that_hit_nothing(kind: str, output: Any, why: str) -> None:
    assert hit_nothing(run(kind, output)) == why


def test_a_heal_that_had_nothing_to_do_is_no_failure() -> None:
    assert refused(run("python", [])) == ""
    assert refused(run("process", {"status": 1})) == "it ended with exit status 1"
