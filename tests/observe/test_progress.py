"""What is shown while a drill runs: the line, plain lines without a terminal, and a live one that does not fight."""

import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import wait_until
from chaosdrills.observe import progress
from chaosdrills.observe.progress import Progress, line_of

REPOSITORY = Path(__file__).resolve().parents[2]
CALM = {"per_s": 199.6, "bad_per_s": 0.0, "silent_s": 0.0, "age_s": 0.04}
TROUBLED = {"per_s": 12.0, "bad_per_s": 187.5, "silent_s": 4.2, "age_s": 3.94}

POLLED = {
    "app": {"good": True, "bad_s": 0.0, "why": ""},
    "shop": {"good": False, "bad_s": 3.2, "why": "status 503"},
    "new": {"good": None, "bad_s": 0.0, "why": ""},
}
WATCHED = {"healer": {"count": 4, "why": ""}, "new": {"count": None, "why": "no answer yet"}}
POLLED_LINE = "app good | shop bad for 3 s (status 503) | new not polled yet"


class Drill:
    """What a progress line looks at."""

    def __init__(
        self, figures: dict[str, Any] | None, phase: str = "watch", since_fault_s: float | None = None
    ) -> None:
        self.phase = phase
        self.since_fault_s = since_fault_s
        self.observed, self.over = True, False
        self._figures = figures

    def figures(self) -> dict[str, Any]:
        if self._figures is None:
            raise UnavailableError("the observer died.")
        return self._figures


@pytest.mark.parametrize(
    ("drill", "line"),
    [
        (Drill(CALM), "watch | 200 acks/s | data 0.0 s old"),
        (Drill({**CALM, "age_s": None}, "baseline"), "baseline | 200 acks/s"),
        (
            Drill(TROUBLED, "wait", 6.6),
            "wait | 7 s since the fault | 12 acks/s | 188 bad/s | a stream silent for 4 s | data 3.9 s old",
        ),
        (Drill({**CALM, "endpoints": POLLED}), f"watch | 200 acks/s | data 0.0 s old | {POLLED_LINE}"),
        (
            Drill({**CALM, "watches": WATCHED}),
            "watch | 200 acks/s | data 0.0 s old | healer counts 4 | new not seen (no answer yet)",
        ),
        (Drill(None, "wait", 6.6), "wait | 7 s since the fault | no figures"),
        (Drill(CALM, "w" * 36), f"{'w' * 36} | 200 acks/s | data 0.0 s old"),
        (Drill(CALM, "w" * 37), f"{'w' * 35}… | 200 acks/s | data 0.0 s old"),
    ],
)
def test_the_line(drill: Any, line: str) -> None:
    assert line_of(drill) == line


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was logged, by a progress that looks a hundred times as often."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("chaostoolkit")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(progress, "REFRESH_S", 0.01)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield lines
    logger.setLevel(level)


def test_without_a_terminal_each_phase_is_a_line(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 1e9)
    drill: Any = Drill(CALM, "baseline")
    shown = Progress(drill)
    shown.begin()
    try:
        assert wait_until(lambda: len(told) == 1, 10)
        drill.phase = "watch"
        assert wait_until(lambda: len(told) == 2, 10)
        drill.over, drill.phase = True, "judge"
    finally:
        shown.end()
    shown.end()
    assert told == ["[drill] baseline | 200 acks/s | data 0.0 s old", "[drill] watch | 200 acks/s | data 0.0 s old"]


def test_and_a_line_now_and_then(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.05)
    shown = Progress(Drill(CALM))  # type: ignore[arg-type]
    shown.begin()
    try:
        assert wait_until(lambda: len(told) >= 3, 10)
    finally:
        shown.end()
    assert set(told) == {"[drill] watch | 200 acks/s | data 0.0 s old"}


def test_nothing_is_shown_that_was_not_asked_for(told: list[str]) -> None:
    shown = Progress(Drill(CALM), shown=False)  # type: ignore[arg-type]
    shown.begin()
    shown.end()
    assert told == []


ON_A_TERMINAL = """
import logging, sys, threading
from chaosdrills.observe.progress import Progress
from tests.observe.test_progress import CALM, Drill
logger = logging.getLogger("chaostoolkit")
handler = logging.StreamHandler()
logger.addHandler(handler)
logger.setLevel(logging.INFO)
shown = Progress(Drill(CALM, "[bold] phase", 3))
shown.begin()
for number in range(20):
    logger.info(f"log line {number}")
    threading.Event().wait(0.1)
shown.end()
assert handler.stream is sys.__stderr__, handler.stream
logger.info("the log goes on")
print("the last word", flush=True)
"""


def test_on_a_terminal_the_log_scrolls_above_a_line_that_goes_away() -> None:
    output = _on_a_terminal(columns=100)
    assert "[bold] phase | 3 s since the fault | 200 acks/s" in output, "a phase is no markup"
    screen = _screen(output)
    wanted = [f"log line {number}" for number in range(20)] + ["the log goes on", "the last word"]
    assert [line for line in screen if line] == wanted


def test_on_a_narrow_terminal_the_line_leaves_room_for_what_ctrl_c_echoes() -> None:
    output = _on_a_terminal(columns=40)
    shown = [text for text in re.split(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]", output) if text.startswith("[bold]")]
    assert set(shown) == {"[bold] phase | 3 s since the fault …"}, "36 columns of 40, so that ^C does not wrap it"


def _on_a_terminal(columns: int) -> str:
    """All that a progress and a log write to a terminal that is `columns` wide."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "LINES": "30", "PYTHONPATH": str(REPOSITORY)}
    shown = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL], stdin=slave, stdout=slave, stderr=slave, env=env, close_fds=True
    )
    os.close(slave)
    output = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not chunk:
            break
        output += chunk
    os.close(master)
    assert shown.wait(30) == 0, output.decode()
    return output.decode()


def _screen(output: str) -> list[str]:
    """What a terminal shows after `output`: lines, with the few control sequences that are used here."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", output):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token.startswith("\x1b["):
            count = int(re.sub(r"\D", "", token) or 1)
            if token[-1] == "A":
                row = max(0, row - count)
            elif token[-1] == "K":
                lines[row] = ""
        else:
            lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + len(token) :]
            column += len(token)
    return [line.rstrip() for line in lines]
