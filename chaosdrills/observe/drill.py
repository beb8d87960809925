"""One observed drill: its folder, its observer, its phases, and the judgement of its record.

The control drives it through the stages of an experiment; probes and actions ask it. Nothing here imports chaoslib.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaosdrills.core.history import NS, to_ns
from chaosdrills.core.judge import Judgement, judge
from chaosdrills.core.summary import Check, Phase
from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.registry import is_local
from chaosdrills.host.clock import boottime_ns
from chaosdrills.host.nodes import load
from chaosdrills.host.processes import this_process
from chaosdrills.observe.abort import Abort
from chaosdrills.observe.hold import Hold, at_terminal
from chaosdrills.observe.live import NoBaseline, baseline_lacks, lag_ns, wait_good, wait_restored, wait_users
from chaosdrills.observe.notes import remark
from chaosdrills.observe.phases import Phases
from chaosdrills.observe.plan import Plan
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec

POLL_S = 0.5
HURRIED_S = 3.0


class ObservedDrill:
    """A drill while it runs. Made by the control, known to probes and actions through `chaosdrills.observe.current`.

    `words` is the text of its experiment. `trouble` is the first error, empty if there was none. `checks` are those of
    the observer. `pending_faults` are the names of faults that run in the background and have not ended, `not_undone`
    those of other extensions' faults that none of their heals has followed. `hold` is None
    if the drill does not hold; `held_at` names the activity before which it does, empty: before the method begins.
    """

    def __init__(
        self, drill_id: str, title: str, folder: Path, plan: Plan, words: str = "", hold: Hold | None = None
    ) -> None:
        self.drill_id = drill_id
        self.title = title
        self.folder = folder
        self.plan = plan
        self.words = words
        self.hold = hold
        self.abort = Abort()
        self.pending_faults: set[str] = set()
        self.not_undone: set[str] = set()
        self.held_at = ""
        self.started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.trouble = ""
        self.checks: list[Check] = []
        self._phases = Phases()
        self._warm = threading.Event()
        self._last_begin_ns: int | None = None
        self._fault_ns: int | None = None
        self._method_end_ns: int | None = None
        self._load_ended = False
        self._last_figures: dict[str, Any] | None = None
        self._judgement: Judgement | None = None
        self._error: DrillError | None = None
        self._session: ObserverSession | None = None

    @property
    def record(self) -> Path:
        """The drill's evidence."""
        return self.folder / "record"

    @property
    def observed(self) -> bool:
        """Whether the observer was started, so that there is load to end."""
        return self._session is not None

    @property
    def under_load(self) -> bool:
        """Whether the observer is warm and its load goes on."""
        return self._session is not None and self._last_figures is None and not self._load_ended

    @property
    def method_over(self) -> bool:
        """Whether the last activity of the method has ended."""
        return self._method_end_ns is not None

    @property
    def over(self) -> bool:
        """Whether the load has ended and its record was judged."""
        return self._last_figures is not None and self._judgement is not None

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the workload said of itself and its service once it was warm; nothing before."""
        return self._session.ready if self._session is not None else {}

    @property
    def phase(self) -> str:
        """What it does now."""
        return self._phases.name

    @property
    def phase_s(self) -> float:
        """How long it has been doing that."""
        return self._phases.lasted_s

    @property
    def since_fault_s(self) -> float | None:
        """Seconds since the first fault began."""
        return None if self._fault_ns is None else (boottime_ns() - self._fault_ns) / NS

    def start(self) -> None:
        """Start the observer and wait until it is warm. Raises `DrillError` with the reason if it never is."""
        spec = ObserverSpec(
            drill_id=self.drill_id,
            service=self.plan.service,
            workload=self.plan.workload,
            arguments=dict(self.plan.arguments),
            rate_per_s=self.plan.rate_per_s,
            record=self.record.resolve(),
            slow_s=self.plan.parameters.slow_s,
            gap_s=self.plan.parameters.gap_s,
            polls=self.plan.polls,
            watches=self.plan.watches,
        )
        try:
            with self.during("warm up"):
                self._session = ObserverSession.start(spec, self.folder, self.plan.start_timeout_s)
        finally:
            self._warm.set()

    def wait_baseline(self, say: Callable[[str], None]) -> None:
        """Wait until there is a clean baseline. Raises `UnavailableError` if the service gives none in time."""
        want_s = max(self.plan.parameters.baseline_s, self.plan.parameters.stable_s)
        if not baseline_lacks(self.figures(), want_s):
            return
        say(f"waiting for {want_s:g} s of clean service before anything is injected")
        deadline = time.monotonic() + self.plan.baseline_timeout_s
        with self.during("baseline"):
            while why := baseline_lacks(self.figures(), want_s):
                if time.monotonic() >= deadline:
                    raise UnavailableError(
                        f"the service gave no clean baseline within {self.plan.baseline_timeout_s:g} s "
                        f"({why}); nothing was injected.",
                        "look at its errors in observer.log; a service with steady background errors cannot be judged.",
                    )
                time.sleep(0.2)

    def wait_go(self, fault: str, say: Callable[[str], None]) -> None:
        """Hold before `fault`, if the drill holds and has not done so; then wait for a clean baseline again.

        Raises `UnavailableError` if nobody says go in time, or if the service gives no baseline after it.
        """
        hold = self.hold
        if hold is None or hold.state != "ahead":
            return
        enter = ", or Enter here," if at_terminal() else ""
        say(
            f"holding before {fault!r}, with load going on: 'chaos drills go'{enter} injects it, 'chaos drills abort' "
            f"ends the drill; after {hold.timeout_s:g} s it ends by itself"
        )
        with self.during("hold"):
            if not hold.wait(self._open_session().snapshot):
                raise UnavailableError(
                    f"{self.abort.why or f'nobody said go within {hold.timeout_s:g} s'}; nothing was injected.",
                    "run it again, and say 'chaos drills go' while it holds.",
                )
        say(f"going on to {fault!r}")
        self.wait_baseline(say)

    def note(self, text: str) -> float:
        """Put a remark on disk; its instant on the record's clock. Waits while the observer still warms up.

        Raises `UsageError` for what is no remark, `UnavailableError` if there is no record that is open.
        """
        at_ns, kept = boottime_ns(), remark(text, self.words)
        self._warm.wait(self.plan.start_timeout_s + POLL_S)
        if self._session is None or self._load_ended:
            why = "its record is closed" if self._load_ended else "it has no record yet"
            raise UnavailableError(f"the note was not kept: {why}.", "write it beside the report.")
        try:
            self._session.note(kept, at_ns)
        except DrillError as error:
            raise UnavailableError(f"the note was not kept: {error.message}", "write it beside the report.") from error
        return (at_ns - self._session.origin_ns) / NS

    def cut_short(self, by: str) -> bool:
        """Have the drill end in good order, from any thread; returns at once. False if it ends already."""
        why = f"aborted by {by} in the phase {self.phase!r}"
        if self.over or not self.abort.request(why):
            return False
        if self.hold is not None:
            self.hold.shut()
        return True

    def hurry(self) -> None:
        """Wait no longer for an observer that does not answer: what is to be healed goes before evidence of it."""
        if self._session is not None:
            self._session.answer_timeout_s = HURRIED_S

    def note_abort(self) -> None:
        """Put a remark where the abort was asked for."""
        if self._session is not None and self.abort.why:
            with suppress(DrillError):  # its reason is kept all the same
                self._session.note(remark(self.abort.why, self.words), self.abort.at_ns)

    def mark_from_outside(self, name: str, label: str, at_ns: int) -> bool:
        """Mark a heal that another process does; false if the record is closed, so that it spoils no figure.

        Where it cannot be marked, the drill is never met.
        """
        if self.over:
            return False
        try:
            self.mark(name, label, at_ns)
        except DrillError as error:
            self.note_error(f"{label} from outside is not in the record: {error.message}")
            raise
        return True

    def mark(self, name: str, label: str = "", at_ns: int | None = None) -> None:
        """Put a mark on disk. Raises `DrillError` if the observer cannot: then nothing may be injected."""
        if name == "fault_begin" and (self.abort.why or self.abort.left or self.over):
            raise UnavailableError("the drill is being left; nothing was injected.", "run it again.")
        at_ns = boottime_ns() if at_ns is None else at_ns
        self._open_session().mark(name, label, at_ns)
        if name in ("fault_begin", "heal_begin"):
            self._last_begin_ns = at_ns
        if name == "fault_begin" and self._fault_ns is None:
            self._fault_ns = at_ns

    def figures(self) -> dict[str, Any]:
        """What the client sees now, or saw last before the load ended."""
        if self._last_figures is not None:
            return self._last_figures
        return self._open_session().snapshot()

    def end_method(self) -> None:
        """The method's last activity is over: what it stirred up may still be seen for a moment."""
        self._method_end_ns = boottime_ns()

    def wait_restored(self, timeout_s: float, say: Callable[[str], None]) -> float | None:
        """Wait until the service stays restored, and users can go on; its RTO so far, or None after `timeout_s`.

        Waits for faults in the background first. Raises `UnavailableError` if no fault was marked, or if a polled
        endpoint is not seen good by then though the service is restored.
        """
        session, deadline = self._open_session(), time.monotonic() + timeout_s
        while self.pending_faults and time.monotonic() < deadline:
            session.snapshot()
            time.sleep(POLL_S)
        if self._fault_ns is None:
            raise UnavailableError(
                "no fault was marked, so there is no recovery to wait for.", "look at the fault's error."
            )
        took_s = self._wait_restored(session, deadline - time.monotonic())
        if took_s is not None:
            wait_users(session.snapshot, took_s, deadline, say)
        return took_s

    def finish(self, say: Callable[[str], None]) -> Judgement:
        """Go on until the last fault or heal was watched for long enough, end the load, drain, read back, and judge."""
        session = self._open_session()
        if self._last_begin_ns is not None:
            with self.during("watch"):
                self._watch(session, say)
        self._last_figures = session.snapshot()
        self._check_healed()
        try:
            with self.during("drain and read back"):
                result = session.finish(self.plan.drain_timeout_s, self.plan.readback_timeout_s, say)
            self._load_ended = True
            self.checks += [Check(**check) for check in result.get("checks", [])]
        except DrillError as error:
            self._fail(error)
        return self.judged()

    def _watch(self, session: ObserverSession, say: Callable[[str], None]) -> None:
        """Let load go on until a relapse would have been seen, and until no dip is under way that its end would cut.

        The last activities may have moved leaders: their dip must be over, or it could not be told from an outage.
        """
        parameters = self.plan.parameters
        until_ns = max(
            (self._last_begin_ns or 0) + to_ns(parameters.watch_s + 1.0),
            (self._method_end_ns or 0) + to_ns(parameters.stable_s) + lag_ns(parameters),
        )
        if until_ns > boottime_ns():
            say(f"watching for {(until_ns - boottime_ns()) / NS:.0f} s more, so that a relapse is seen")
        while (left_s := (until_ns - boottime_ns()) / NS) > 0:
            session.snapshot()
            time.sleep(min(POLL_S, left_s))
        try:
            restored = self._wait_restored(session, self.plan.settle_timeout_s) is not None
            why = f"the service is not restored {self.plan.settle_timeout_s:g} s later"
        except NoBaseline as error:
            restored, why = False, error.message.rstrip(".")
        if not restored:
            say(f"{why}; the load ends all the same")
        self._wait_good(session, say)

    def _wait_good(self, session: ObserverSession, say: Callable[[str], None]) -> None:
        """Let load go on until each polled endpoint is good again: its end would cut users' minutes short."""
        why = wait_good(session.snapshot, time.monotonic() + self.plan.settle_timeout_s)
        if why:
            say(f"{why}; the load ends all the same")

    def _wait_restored(self, session: ObserverSession, timeout_s: float) -> float | None:
        def clock_ns() -> int:
            session.snapshot()
            return boottime_ns() - session.origin_ns

        return wait_restored(self.record, self.plan.parameters, timeout_s, clock_ns, fresh=self.plan.limits.fresh)

    def _check_healed(self) -> None:
        """Loss is decided only after heal: what is still broken now would be read back broken."""
        left = self._unhealed()
        if left:
            self.checks.append(Check("healed", False, f"{left} was not healed before the data was read back"))

    def _unhealed(self, local: bool = True) -> str:
        """Which of this drill's faults are outstanding, those on this machine's processes if `local`; empty if none."""
        mine = [entry for entry in outstanding()[0] if entry.mine]
        return ", ".join(entry.target.label for entry in mine if local or not is_local(entry.fault))

    def check_left(self) -> str:
        """Note which faults of this drill are left behind, and return them; none are on a lab that ends with it."""
        cluster = load(self.plan.service)
        ends_too = cluster is None or cluster.owner == this_process()
        left = self._unhealed(local=not ends_too)
        if left:
            self.checks.append(Check("left behind", False, f"{left} is still not healed: run 'chaos drills heal'"))
        return left

    def give_up(self) -> None:
        """End the load of a drill that was interrupted; its record stays, and says that it has no end."""
        if self._session is not None and not self._load_ended:
            try:
                self._last_figures = self._last_figures or self._session.snapshot()
                self._session.abort()
                self._load_ended = True
            except DrillError as error:
                self._fail(error)

    def judged(self) -> Judgement:
        """The judgement of the record: made once the load has ended. Raises `DrillError` if there is no record."""
        if self._judgement is None:
            with self.during("judge"):
                self._judgement = judge(read_record(self.record), self.plan.limits, self.plan.parameters)
        return self._judgement

    def close(self) -> None:
        """End the observer, whatever it does. Idempotent."""
        if self._session is not None:
            self._session.close()

    def during(self, phase: str) -> AbstractContextManager[None]:
        """As `Phases.during`."""
        return self._phases.during(phase)

    def enter(self, phase: str) -> None:
        """An activity begins: it is a phase until `leave`."""
        self._phases.enter(phase)

    def leave(self, phase: str, ended: bool) -> None:
        """An activity is over; `ended` unless it was interrupted."""
        self.pending_faults.discard(phase)
        self._phases.leave(phase, ended)

    def phases(self) -> list[Phase]:
        """The phases so far, in seconds on the record's clock; none before there is one."""
        return [] if self._session is None else self._phases.since(self._session.origin_ns)

    def _open_session(self) -> ObserverSession:
        if self._error is not None:
            raise self._error
        if self._session is None:
            raise UnavailableError("the observer does not run.", "look at the first error of this run.")
        return self._session

    def note_error(self, reason: str) -> None:
        """Remember why this drill cannot be met; the first reason is the cause of all others."""
        self.trouble = self.trouble or reason.rstrip(".")

    def note_interruption(self) -> None:
        """Remember that the run was cut short, and by whom, unless an error did that."""
        if self.abort.why and self.trouble and not self.trouble.startswith(self.abort.why):
            self.checks.append(Check("aborted", False, self.abort.why))
        stopped_in = self._phases.stopped_in or self.phase
        self.note_error(self.abort.why or f"the run was interrupted in the phase {stopped_in!r}")

    def _fail(self, error: DrillError) -> None:
        self._error = error
        self.note_error(error.message)
