"""One load from its first connection to its read-back: the thread that drives a workload by a schedule."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chaosdrills.core.history import to_ns
from chaosdrills.errors import DrillError, InternalError
from chaosdrills.host.clock import boottime_ns
from chaosdrills.observe.endpoints import endpoints_of
from chaosdrills.observe.ledger import Ledger, LedgerPage
from chaosdrills.observe.pacing import Lateness, schedule
from chaosdrills.observe.poller import Poller
from chaosdrills.observe.sampler import Sampler
from chaosdrills.observe.spec import ObserverSpec
from chaosdrills.observe.watches import watches_of
from chaosdrills.observe.workload import Opened, Progress, Workload

logger = logging.getLogger(__name__)

POLL_S = 0.05
SAY_EVERY_S = 1.0

MakeLedger = Callable[[Opened], Ledger]


@dataclass(frozen=True)
class Ending:
    """How a load is to end: wait up to `drain_s` for acknowledgements; read back within `readback_timeout_s`, or not.

    Without a read-back the record gets no end: it says that the drill did not come to its own.
    """

    drain_s: float
    readback_timeout_s: float | None
    say: Progress


class _Aborted(Exception):
    """Raised inside the load thread when an ending is cut short."""


class Load:
    """A load and its thread. `phase` is what it does now; `failure` and `result` are there once `done` is set."""

    def __init__(
        self,
        spec: ObserverSpec,
        workload: Workload,
        make_ledger: MakeLedger,
        open_timeout_s: float,
        poller: Poller,
        sampler: Sampler,
    ) -> None:
        self.phase = "connecting"
        self.opened: Opened | None = None
        self.ledger: Ledger | None = None
        self.done = threading.Event()
        self.failure: DrillError | None = None
        self.result: dict[str, Any] = {}
        self.lateness = Lateness()
        self._spec = spec
        self._workload = workload
        self._make_ledger = make_ledger
        self._poller = poller
        self._sampler = sampler
        self._open_timeout_s = open_timeout_s
        self._ending: Ending | None = None
        self._aborted = threading.Event()
        self._sent = 0
        self._begun_ns = 0
        self._oldest_in_flight_ns: int | None = None
        self._checks: list[dict[str, Any]] = []
        self._whole = False
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self, ending: Ending) -> None:
        """Have the load end in this way; the first one counts."""
        self._ending = self._ending or ending

    def abort(self) -> None:
        """Have the load, or the ending that is under way, stop at once."""
        self._aborted.set()
        self.end(Ending(0, None, lambda text: None))

    def trouble(self) -> str:
        """The last trouble that the workload's driver told of; empty if there was none."""
        return self._workload.trouble()

    def snapshot(self, window_s: float) -> dict[str, Any]:
        """The figures now, as `Figures.at`, and of the load itself. Raises `InternalError` before there are any."""
        if self.ledger is None:
            raise InternalError("the load has not begun.")
        figures = self.ledger.figures(window_s, self._oldest_in_flight_ns)
        return {
            "phase": self.phase,
            "stream_kind": self._workload.stream_kind,
            "elapsed_s": (boottime_ns() - self._begun_ns) / 1e9,
            "sent": self._sent,
            "in_flight": self._workload.in_flight,
            **figures,
            "lateness": self.lateness.as_dict(),
            **self._endpoints(self.ledger),
            **({"watches": watches} if (watches := self._sampler.standings()) else {}),
        }

    def _endpoints(self, ledger: Ledger) -> dict[str, Any]:
        """`endpoints`, where any is polled: of each by name how it stands and why (`good`, `bad_s`, `why`)."""
        standings, troubles = ledger.standings(), self._poller.troubles
        endpoints = {name: {**one, "why": troubles.get(name, "")} for name, one in standings.items()}
        return {"endpoints": endpoints} if endpoints else {}

    def _run(self) -> None:
        try:
            self._run_phases()
        except DrillError as error:
            self.failure = error
        except BaseException as error:
            logger.exception("the load thread failed")
            self.failure = InternalError(f"the load failed: {error!r}.", "read observer.log; this is a defect.")
            self.failure.__cause__ = error
        finally:
            self._close()
            self.phase = "ended"
            self.done.set()

    def _run_phases(self) -> None:
        self.opened = self._workload.open(self._open_timeout_s)
        if self._aborted.is_set():  # nothing was written yet, so that nothing of it is evidence
            self._whole = True
            return
        ledger = self._make_ledger(self.opened)
        page = ledger.page()
        self._workload.begin(page, ledger.page())
        self._poller.begin(ledger.page())
        self._sampler.begin(ledger.page)
        self._begun_ns = boottime_ns()
        self.ledger = ledger
        self.phase = "running"
        self._drive(page)
        load_s = (boottime_ns() - self._begun_ns) / 1e9
        try:
            self._finish(ledger, page, self._ending or Ending(0, None, lambda text: None))
        except _Aborted:
            logger.warning("the ending was cut short")
        self.result = self._sum_up(ledger, load_s)

    def _drive(self, page: LedgerPage) -> None:
        """Send what is due and serve what comes back until the load is to end."""
        workload, most = self._workload, self._spec.max_in_flight
        plan = schedule(boottime_ns(), self._spec.rate_per_s)
        paced = bool(self._spec.rate_per_s)
        while self._ending is None:
            room = max(0, most - workload.in_flight)
            intended = plan.take(boottime_ns(), room)
            if intended:
                page.attempt(intended)
                workload.send(intended[:room])
                self._sent += len(intended)
                if paced:
                    self._note_lateness(intended[:room])
                if room < len(intended):
                    workload.refuse(intended[room:])
            page.turn()
            self._oldest_in_flight_ns = workload.oldest_in_flight_ns()
            workload.poll(min(plan.wait_s(boottime_ns()), POLL_S))

    def _note_lateness(self, intended: list[int]) -> None:
        now_ns = boottime_ns()
        for intended_ns in intended:
            self.lateness.add(now_ns - intended_ns)

    def _finish(self, ledger: Ledger, page: LedgerPage, ending: Ending) -> None:
        page.close()
        ledger.mark("load_end", boottime_ns())
        self._poller.end()
        self._sampler.end()
        self._drain(page, ending)
        page.close()
        ledger.mark("drained", boottime_ns())
        self._workload.end_reading()
        self._check_schedule()
        for name, ok, detail in self._workload.checks():
            self._check(name, ok, detail)
        if ending.readback_timeout_s is not None and not self._aborted.is_set():
            whole = self._read_back(ledger, ending.readback_timeout_s, ending.say)
            ledger.end()
            self._whole = whole

    def _sum_up(self, ledger: Ledger, load_s: float) -> dict[str, Any]:
        return {
            "sent": self._sent,
            **ledger.totals(),
            "load_s": load_s,
            "lateness": self.lateness.as_dict(),
            "findings": dict(self._workload.findings()),
            "whole": self._whole,
            "checks": self._checks,
        }

    def _drain(self, page: LedgerPage, ending: Ending) -> None:
        """Wait for what is in flight, polls included, then give the rest up."""
        self.phase = "draining"
        say = _Saying(ending.say, self._aborted)
        deadline = time.monotonic() + ending.drain_s
        with contextlib.suppress(_Aborted):  # what is in flight is given up all the same, and recorded
            while self._workload.in_flight and time.monotonic() < deadline and not self._aborted.is_set():
                self._workload.poll(POLL_S)
                page.turn()
                say.now_and_then(f"draining: {self._workload.in_flight} operations in flight")
        left = self._workload.in_flight
        self._workload.abandon()
        for beside in (self._poller, self._sampler):
            beside.finish(0 if self._aborted.is_set() else max(0.0, deadline - time.monotonic()))
        self._oldest_in_flight_ns = None
        detail = (
            f"{left} operations were given up after {ending.drain_s:g} s" if left else "every operation was answered"
        )
        self._check("drained", not left, detail)

    def _check_schedule(self) -> None:
        """An observer that was itself late for as long as an answer may take has measured itself."""
        lateness = self.lateness
        if lateness.count:
            detail = f"99 % within {lateness.quantile_ms(0.99):.1f} ms, all within {lateness.max_ms:.1f} ms"
            self._check("kept its schedule", lateness.max_ns < to_ns(self._spec.slow_s), detail)
        for name, ok, detail in self._poller.checks(to_ns(self._spec.slow_s)):
            self._check(name, ok, detail)

    def _read_back(self, ledger: Ledger, timeout_s: float, report: Progress) -> bool:
        """Read back every stream. What stops it is a failed check, not a failed observer: the record stays whole."""
        self.phase = "reading back"
        say, begun, found = _Saying(report, self._aborted), time.monotonic(), 0
        try:
            for survivors in self._workload.read_back(timeout_s, say.now_and_then):
                ledger.final(survivors)
                found += len(survivors.seqs)
        except DrillError as error:
            logger.warning("the read-back failed: %s", error)
            self._check("read back", False, error.message.rstrip("."))
            return False
        self._check("read back", True, f"{found:,} records in {time.monotonic() - begun:.1f} s")
        return True

    def _check(self, name: str, ok: bool, detail: str) -> None:
        self._checks.append({"name": name, "ok": ok, "detail": detail})

    def _close(self) -> None:
        """End polling and sampling, close the workload and the record, whatever state they are in."""
        self._poller.finish(0)
        self._sampler.finish(0)
        try:
            self._workload.close(self._whole)
        except Exception:
            logger.exception("closing the workload failed")
        try:
            if self.ledger is not None:
                self.ledger.close()
        except DrillError as error:
            self.failure = self.failure or error


class _Saying:
    """Passes progress on, at most once a second, and stops the work when it is aborted."""

    def __init__(self, say: Progress, aborted: threading.Event) -> None:
        self._say = say
        self._aborted = aborted
        self._next = 0.0

    def now_and_then(self, text: str) -> None:
        """Say `text` if it is time. Raises `_Aborted` if the work is to stop."""
        if self._aborted.is_set():
            raise _Aborted
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SAY_EVERY_S
            self._say(text)


def header_of(spec: ObserverSpec, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the record's header says besides the service: no arguments and no URL, they may be secret."""
    header = {"drill_id": spec.drill_id, "rate_per_s": spec.rate_per_s, "max_in_flight": spec.max_in_flight}
    polls = {one.name: {"rate_per_s": one.rate_per_s, "timeout_s": one.timeout_s} for one in endpoints_of(spec.polls)}
    watches = {one.name: one.about() for one in watches_of(spec.watches)}
    beside = {name: value for name, value in (("polls", polls), ("watches", watches)) if value}
    return {**header, **beside, **facts}
