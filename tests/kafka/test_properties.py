"""Properties for SASL and TLS: where they come from, and what is said when they are wrong."""

from pathlib import Path

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.kafka.properties import load_properties


def test_values_come_from_the_file_the_environment_and_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRILL_PASSWORD", "p=w:x")
    (tmp_path / "key").write_text("abc\n")
    file = tmp_path / "kafka.properties"
    file.write_text(
        "# how to reach it\n\nsecurity.protocol = SASL_SSL\nsasl.password=env:DRILL_PASSWORD\n"
        f"ssl.key.password=file:{tmp_path}/key\nsasl.username=a=b\n"
    )
    assert load_properties(str(file)) == {
        "security.protocol": "SASL_SSL",
        "sasl.password": "p=w:x",
        "ssl.key.password": "abc",
        "sasl.username": "a=b",
    }


def test_no_file_is_no_properties() -> None:
    assert load_properties("") == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sasl.password", "line 1 is not name=value"),
        ("a=1\na=2", "line 2 gives a again"),
        (
            "sasl.password=env:NOT_THERE_AT_ALL",
            "line 1 (sasl.password) names the environment variable NOT_THERE_AT_ALL",
        ),
        ("sasl.password=file:/nowhere/at/all", "line 1 (sasl.password) names the file /nowhere/at/all"),
    ],
)
def test_what_is_wrong_is_named_without_showing_values(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        load_properties(str(file))
    assert said in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.properties: No such file"):
        load_properties(str(tmp_path / "none.properties"))
