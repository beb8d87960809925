"""The observe control: starts the observer, marks faults, ends the load, judges, and writes what people read.

In an experiment::

    "controls": [{"name": "observe", "provider": {"type": "python", "module": "chaosdrills.observe.control",
      "arguments": {"name": "kafka-broker-loss", "service": "kafka",
        "workload": "chaosdrills.kafka.workload:KafkaWorkload",
        "workload_arguments": {"bootstrap_servers": "${kafka_bootstrap_servers}"}}}}]

`faults` names the actions that are faults, whichever extension they come from (default: the first action of the
method); `heals` those that undo one, so that what they bring back does not count as recovery by itself. Actions of
chaosdrills mark themselves. `parameters` are those of `chaosdrills.core.parameters`, `abort_when` those of
`chaosdrills.observe.conditions`, `polls` the endpoints of `chaosdrills.observe.endpoints`, `watches` the counts of
`chaosdrills.observe.watches`.

The Chaos Toolkit swallows every exception of a control but `InterruptExecution` in before-hooks; so before-hooks raise
that, and after-hooks catch, log, and set the journal's status to failed. A hypothesis may also be checked while the
method runs (strategy ``continuously``), so the load ends with the one after `after_method_control`.
"""

import inspect
import json
import logging
import os
import secrets as random_secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

from chaoslib.exceptions import InterruptExecution, InvalidActivity
from chaoslib.run import EventHandlerRegistry, RunEventHandler
from chaoslib.types import Dry

from chaosdrills.errors import DrillError, UsageError
from chaosdrills.faults import lock, marking
from chaosdrills.host.processes import uninterrupted
from chaosdrills.observe import abort
from chaosdrills.observe.arguments import (
    arguments_of,
    check_workload,
    faults_of,
    heals_of,
    parameters_of,
    polls_of,
    rate_of,
    require_kinds,
    secret_arguments,
    timeouts_of,
    unnamed_of,
    watched_of,
)
from chaosdrills.observe.conditions import conditions_of
from chaosdrills.observe.current import DRY_RUN, current, set_current
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.ending import heal_left, leave_at_once
from chaosdrills.observe.endpoints import endpoints_of, require_often, unaddressed
from chaosdrills.observe.folder import journals_dir, make_folder, scrub_log
from chaosdrills.observe.foreign import Foreign
from chaosdrills.observe.hold import hold_of
from chaosdrills.observe.outcome import OUTCOME, Outcome, conclude, hand_over, last_word, say_last
from chaosdrills.observe.plan import Plan
from chaosdrills.observe.sentry import refuse_blind
from chaosdrills.observe.steps import (
    doubt,
    leave,
    marker_of,
    note_error,
    take_word,
    tell_configuration,
    tell_left,
    tell_not_polled,
)
from chaosdrills.observe.tolerances import limits_of
from chaosdrills.observe.watchers import Watchers
from chaosdrills.observe.watches import watches_of

logger = logging.getLogger("chaostoolkit")

HANDED = {"context", "configuration", "secrets", "timeouts"}  # parameters of a hook that are no arguments of ours
INTERRUPTED_STATUSES = ("interrupted", "aborted")

_watchers: Watchers | None = None
_outcome: Outcome | None = None
_concerned: ObservedDrill | None = None  # the drill of the last word: also when it was not concluded
_foreign = Foreign()


def configure_control(event_registry: EventHandlerRegistry | None = None, **arguments: Any) -> None:
    """Ask to be called when the run leaves its method, and when everything is over: the verdict comes last."""
    if event_registry is not None:
        event_registry.register(_Events())


class _Events(RunEventHandler):  # type: ignore[misc]
    """What the hooks of a control do not tell: that the run is being left, and that all is over."""

    def __init__(self) -> None:
        self._journal: dict[str, Any] = {}
        self._outcome_path = os.environ.pop(OUTCOME, "")  # what an activity runs is no run of our caller's

    def running(self, experiment: dict[str, Any], journal: dict[str, Any], *others: Any) -> None:
        self._journal = journal

    def activity_completed(self, activity: dict[str, Any], run: dict[str, Any]) -> None:
        """Skip the pause after an activity that was cut short: chaoslib makes it all the same."""
        drill = current()
        if drill is not None and drill.abort.pending and threading.current_thread() is threading.main_thread():
            raise SystemExit(abort.EXIT_GRACEFULLY)

    def signal_exit(self) -> None:
        self._leave_method()

    def interrupted(self, experiment: dict[str, Any], journal: dict[str, Any]) -> None:
        self._leave_method()

    def start_rollbacks(self, experiment: dict[str, Any]) -> None:
        drill = current()
        if drill is not None:
            drill.abort.left = True
            drill.abort.close()

    def _leave_method(self) -> None:
        drill = current()
        if drill is None:
            return
        drill.abort.left = True
        drill.abort.close()
        if drill.abort.why:
            logger.warning(f"The drill ends: {drill.abort.why}")
            self._journal["status"] = "aborted"  # its rollbacks are played by default, those of "interrupted" are not
            leave_at_once(drill)

    def finish(self, journal: dict[str, Any]) -> None:
        global _outcome, _concerned
        if not journal["experiment"].get("dry"):
            hand_over(self._outcome_path, _outcome, _concerned, journal.get("status"))
            say_last(last_word(_outcome, _concerned))
            if _concerned is not None and _concerned.abort.why:
                abort.leave_in_time(1)
        _outcome = _concerned = None


def validate_control(control: dict[str, Any]) -> None:
    """Refuse arguments that cannot be used, for `chaos validate` and `chaos run`. Raises `InvalidActivity`."""
    named = set(inspect.signature(before_experiment_control).parameters) - HANDED
    try:
        arguments = arguments_of(control, named)
        given = {
            name: value for name, value in arguments.items() if "${" not in json.dumps(value)
        }  # known only in a run
        require_kinds(given, get_type_hints(before_experiment_control))
        timeouts_of({name: value for name, value in given.items() if name not in named})
        parameters_of(given.get("parameters"))
        conditions_of(given.get("abort_when"))
        require_often(endpoints_of(arguments.get("polls"), written=True), parameters_of(given.get("parameters")))
        watches_of(arguments.get("watches"), written=True)
        rate_of(given.get("rate_per_s", 200.0))
        if "workload" in given or "workload" not in arguments:
            check_workload(given.get("workload", ""), arguments.get("workload_arguments"))
    except DrillError as error:
        raise InvalidActivity(f"control '{control.get('name')}': {error}") from error


def before_experiment_control(
    context: dict[str, Any],
    configuration: dict[str, Any] | None = None,
    secrets: dict[str, Any] | None = None,
    name: str = "",
    service: str = "",
    workload: str = "",
    workload_arguments: dict[str, Any] | None = None,
    rate_per_s: float = 200.0,
    faults: list[str] | None = None,
    heals: list[str] | None = None,
    parameters: dict[str, Any] | None = None,
    abort_when: dict[str, Any] | None = None,
    polls: list[dict[str, Any]] | None = None,
    watches: list[dict[str, Any]] | None = None,
    journals: str = "journals",
    progress: bool = True,
    **timeouts: float,
) -> None:
    """Start the observer and wait until it is warm."""
    global _watchers, _foreign, _outcome, _concerned
    _outcome = _concerned = None
    with _interrupting():
        if context.get("dry"):
            _stay_dry(context["dry"])
            return
        _refuse_a_second()
        _foreign = Foreign(faults_of(context, faults), heals_of(context, heals))
        polled, limits = polls_of(polls, limits_of(context), parameters_of(parameters))
        plan = Plan(
            service=service,
            workload=workload,
            arguments={**(workload_arguments or {}), **secret_arguments(service, secrets)},
            rate_per_s=rate_of(rate_per_s),
            limits=limits,
            parameters=parameters_of(parameters),
            abort_when=conditions_of(abort_when),
            polls=polled,
            watches=watched_of(watches, secret_arguments(service, secrets), limits),
            not_polled=unaddressed(polls),
            **timeouts_of(timeouts),
        )
        drill = _make_drill(context, plan, journals_dir(journals, os.environ), name)
        if plan.parameters.recovery == "self":
            doubt(drill, unnamed_of(context, _foreign.faults, heals))
        tell_not_polled(drill)
        _watchers = Watchers(drill, shown=progress)
        _watchers.begin()
        drill.start()
        if configuration is not None:
            tell_configuration(configuration, service, drill.facts)


def _make_drill(experiment: dict[str, Any], plan: Plan, journals: Path, name: str) -> ObservedDrill:
    """The drill, known to probes and actions, and what faults are marked in."""
    global _concerned
    hold = hold_of(os.environ)
    folder = make_folder(journals, name or experiment["title"])
    drill_id = random_secrets.token_hex(4)
    drill = ObservedDrill(drill_id, experiment["title"], folder, plan, json.dumps(experiment, default=str), hold)
    set_current(drill)
    _concerned = drill
    drill.abort.install(lambda name: drill.cut_short(f"the signal {name}"))
    marking.set_marker(marker_of(drill), str(folder))
    return drill


def _refuse_a_second() -> None:
    if current() is not None:
        raise UsageError("the experiment has two observe controls.", "keep one of them.")


def before_method_control(context: dict[str, Any], **arguments: Any) -> None:
    """Inject nothing before there is a clean baseline, nor what could not be aborted as agreed."""
    drill = current()
    if drill is not None:
        with _interrupting():
            drill.wait_baseline(logger.info)
            refuse_blind(drill)
            method = context.get("method", [])
            background = {one.get("name") for one in method if one.get("background")}
            drill.pending_faults = set(_foreign.faults & background)
            drill.held_at = _foreign.held_at(method)
            if not drill.held_at:
                drill.wait_go("the method", logger.warning)


def after_method_control(context: dict[str, Any], **arguments: Any) -> None:
    """From now on a hypothesis is the one after the method."""
    drill = current()
    if drill is not None:
        drill.end_method()


def before_activity_control(context: dict[str, Any], **arguments: Any) -> None:
    """Mark a fault of another extension before it begins; name the phase."""
    drill = current()
    if drill is None:
        return
    with _interrupting():
        if drill.abort.left and not drill.abort.closed:  # something has swallowed what was to end the method
            raise InterruptExecution("the drill was interrupted")
        if drill.abort.pending:
            raise InterruptExecution(drill.abort.why)
        if context.get("name") == drill.held_at and not drill.method_over:
            drill.wait_go(drill.held_at, logger.warning)
        if context.get("type") == "action":
            drill.enter(context["name"])
        _foreign.begin(drill, context)


def after_activity_control(context: dict[str, Any], state: dict[str, Any] | None = None, **arguments: Any) -> None:
    """Mark that another extension's fault succeeded; end the phase."""
    drill = current()
    if drill is None:
        return
    _foreign.end(drill, context, state)
    if context.get("type") == "action":
        drill.leave(context["name"], ended=bool(state))


def before_hypothesis_control(context: dict[str, Any], **arguments: Any) -> None:
    """Before the method, be warm. Once it is over, the load ends here: drain, read back, judge."""
    drill = current()
    if drill is None or drill.over:
        return
    with _interrupting():
        if drill.method_over:
            _finish(drill)
        elif drill.since_fault_s is None:
            drill.wait_baseline(logger.info)


def after_experiment_control(context: dict[str, Any], state: dict[str, Any], **arguments: Any) -> None:
    """Judge what there is, put the summary into the journal, write the folder: however hurried somebody is by now."""
    state["node"] = ""
    drill = current()
    if drill is not None:
        drill.abort.close()
        _end_load(drill, state["status"])
        with uninterrupted():
            _conclude(drill, state)


def _conclude(drill: ObservedDrill, state: dict[str, Any]) -> None:
    global _outcome
    try:
        drill.give_up()
        take_word(drill)
        tell_left(drill)
        _outcome = conclude(drill, state)
        state["chaosdrills"] = _outcome.summary
        failed = _outcome.summary["verdict"] != "met"
    except Exception as error:
        logger.error(f"The drill could not be concluded: {error}", exc_info=not isinstance(error, DrillError))
        failed = True
    if failed and state["status"] == "completed" and not state["deviated"]:
        state["status"] = "failed"


def _end_load(drill: ObservedDrill, status: str) -> None:
    """End the load of a drill whose hypothesis after the method did not: there is none, or the run was cut short."""
    try:
        if status == "completed" and drill.method_over and not drill.over and not drill.abort.why:
            with drill.abort.possible():
                _finish(drill)
    except DrillError as error:
        drill.note_error(error.message)
    except (KeyboardInterrupt, SystemExit, InterruptExecution):
        drill.note_interruption()
    if status in INTERRUPTED_STATUSES or drill.abort.why:
        drill.note_interruption()


def _finish(drill: ObservedDrill) -> None:
    """End the load and judge; heals that come later are marked no more, for the record is closed."""
    drill.finish(logger.info)
    marking.set_marker(marking.refuse_faults, str(drill.folder))


def cleanup_control() -> None:
    """End the observer, whatever happened, and heal what a drill that was cut short has no rollbacks for."""
    global _watchers
    drill = current()
    if _watchers is not None:
        _watchers.end()
        _watchers = None
    if drill is not None:
        interrupted = drill.abort.left and drill.abort.interrupts == 1 and not drill.over
        if drill.abort.why or interrupted:
            heal_left(drill)
        drill.abort.uninstall()
        marking.set_marker(marking.refuse_faults)
        drill.close()
        lock.release(kept=True)
        scrub_log(drill.folder, drill.words)
    set_current(None)


@contextmanager
def _interrupting() -> Iterator[None]:
    """Errors end the experiment: anything else that a before-hook raises would be swallowed."""
    try:
        yield
    except InterruptExecution:
        raise
    except DrillError as error:
        note_error(error.message)
        leave()
        raise InterruptExecution(str(error)) from error
    except Exception as error:
        logger.debug("unexpected", exc_info=True)
        note_error(f"unexpected {type(error).__name__}: {error}")
        leave()
        raise InterruptExecution(f"The observe control failed: {type(error).__name__}: {error}") from error


def _stay_dry(dry: Dry) -> None:
    """Observe nothing. Raises `UsageError` where the method's actions are done all the same: nobody would see them."""
    set_current(None, DRY_RUN)
    if dry in (Dry.PROBES, Dry.PAUSE):
        raise UsageError(
            f"with '--dry {dry.value}' faults are injected, and a dry run observes nothing.",
            "run without --dry, or check the experiment with '--dry activities'.",
        )
