"""What the user sees while a drill runs: phase, throughput, freshness, time since the fault.

On a terminal a line that stays at the bottom (rich), with the Chaos Toolkit's own log scrolling above it; elsewhere a
plain line every ten seconds and at every change of phase.
"""

import logging
import sys
import threading
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from chaosdrills.errors import DrillError

if TYPE_CHECKING:
    from chaosdrills.observe.drill import ObservedDrill

PLAIN_EVERY_S = 10.0
REFRESH_S = 1.0
PHASE_WIDTH = 36
ECHO_WIDTH = 4  # a terminal echoes ^C at the end of the line, which must not wrap it


class Progress:
    """Shows `drill` from `begin` to `end`, from a thread of its own that never fails the drill."""

    def __init__(self, drill: "ObservedDrill", shown: bool = True) -> None:
        self._drill = drill
        self._shown = shown
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start showing."""
        if self._shown:
            target = self._run_live if sys.stderr.isatty() and _has_rich() else self._run_plain
            self._thread = threading.Thread(target=target, name="progress", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop showing. Idempotent."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _run_plain(self) -> None:
        logger = logging.getLogger("chaostoolkit")
        phase, since_s = "", PLAIN_EVERY_S
        while not self._over.wait(REFRESH_S):
            since_s += REFRESH_S
            if self._shows() and (self._drill.phase != phase or since_s >= PLAIN_EVERY_S):
                phase, since_s = self._drill.phase, 0.0
                logger.info(f"[drill] {line_of(self._drill)}")

    def _run_live(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(stderr=True)
        with Live(console=console, transient=True, redirect_stdout=False, refresh_per_second=4) as live:
            moved = _move_log_to(sys.stderr)
            try:
                while not self._over.wait(REFRESH_S / 2):
                    line = Text(line_of(self._drill) if self._shows() else "", style="bold", no_wrap=True)
                    line.truncate(max(1, console.width - ECHO_WIDTH), overflow="ellipsis")
                    live.update(line)
            finally:
                for handler, stream in moved:
                    handler.setStream(stream)

    def _shows(self) -> bool:
        """Whether there is something to tell: the observer runs, and the load has not ended."""
        return self._drill.observed and not self._drill.over


def line_of(drill: "ObservedDrill") -> str:
    """One line: phase, time since the fault, throughput, freshness, endpoints, counts."""
    phase = drill.phase
    parts = [phase if len(phase) <= PHASE_WIDTH else f"{phase[: PHASE_WIDTH - 1]}…"]
    if drill.since_fault_s is not None:
        parts.append(f"{drill.since_fault_s:.0f} s since the fault")
    try:
        figures: dict[str, Any] = drill.figures()
    except DrillError:
        return " | ".join([*parts, "no figures"])
    parts.append(f"{figures['per_s']:.0f} acks/s")
    if figures["bad_per_s"] > 0:
        parts.append(f"{figures['bad_per_s']:.0f} bad/s")
    if figures["silent_s"] >= 1:
        parts.append(f"a stream silent for {figures['silent_s']:.0f} s")
    if figures["age_s"] is not None:
        parts.append(f"data {figures['age_s']:.1f} s old")
    parts += beside_in_words(figures)
    return " | ".join(parts)


def beside_in_words(figures: Mapping[str, Any]) -> list[str]:
    """How polled endpoints and watched counts stand: "app good", "app bad for 3 s (status 503)", "healer counts 4"."""
    parts = []
    for name, one in figures.get("endpoints", {}).items():
        why = f" ({one['why']})" if one["why"] else ""
        state = {True: "good", None: "not polled yet"}.get(one["good"], f"bad for {one['bad_s']:.0f} s{why}")
        parts.append(f"{name} {state}")
    for name, one in figures.get("watches", {}).items():
        parts.append(f"{name} not seen ({one['why']})" if one["why"] else f"{name} counts {one['count']}")
    return parts


def _has_rich() -> bool:
    try:
        import rich.live  # noqa: F401
    except ImportError:
        return False
    return True


def _move_log_to(stream: IO[str]) -> list[tuple["logging.StreamHandler[Any]", Any]]:
    """Let the Chaos Toolkit's console log write through `stream`, which rich keeps above its live line."""
    moved: list[tuple[logging.StreamHandler[Any], Any]] = []
    for handler in logging.getLogger("chaostoolkit").handlers:
        if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
            continue
        if handler.stream in (sys.__stderr__, sys.__stdout__):
            moved.append((handler, handler.stream))
            handler.setStream(stream)
    return moved
