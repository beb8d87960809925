"""The observe control: starts the observer, marks faults, ends the load, judges, and writes what people read.

In an experiment::

    "controls": [{"name": "observe", "provider": {"type": "python", "module": "chaosdrills.observe.control",
      "arguments": {"name": "kafka-broker-loss", "service": "kafka",
        "workload": "chaosdrills.kafka.workload:KafkaWorkload",
        "workload_arguments": {"bootstrap_servers": "${kafka_bootstrap_servers}"}}}}]

`faults` names the actions that are faults, whichever extension they come from (default: the first action of the
method); `heals` those that undo one, so that what they bring back does not count as recovery by itself. Actions of
chaosdrills mark themselves. `parameters` are those of `chaosdrills.core.parameters`.

The Chaos Toolkit swallows every exception of a control but `InterruptExecution` in before-hooks; so before-hooks raise
that, and after-hooks catch, log, and set the journal's status to failed. A hypothesis may also be checked while the
method runs (strategy ``continuously``), so the load ends with the one after `after_method_control`.
"""

import inspect
import json
import logging
import secrets as random_secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

from chaoslib.exceptions import InterruptExecution, InvalidActivity
from chaoslib.run import EventHandlerRegistry, RunEventHandler
from chaoslib.types import Dry

from chaosdrills.errors import DrillError, UsageError
from chaosdrills.faults import lock, marking
from chaosdrills.observe.activities import hit_nothing, refused
from chaosdrills.observe.arguments import (
    arguments_of,
    check_workload,
    faults_of,
    heals_of,
    parameters_of,
    rate_of,
    require_kinds,
    secret_arguments,
    timeouts_of,
)
from chaosdrills.observe.current import DRY_RUN, current, set_current
from chaosdrills.observe.drill import ObservedDrill, Plan
from chaosdrills.observe.folder import make_folder, scrub_log
from chaosdrills.observe.outcome import NOTHING_OBSERVED, Outcome, conclude
from chaosdrills.observe.progress import Progress
from chaosdrills.observe.tolerances import limits_of

logger = logging.getLogger("chaostoolkit")

HANDED = {"context", "configuration", "secrets", "timeouts"}  # parameters of a hook that are no arguments of ours

_progress: Progress | None = None
_outcome: Outcome | None = None
_faults: frozenset[str] = frozenset()
_heals: frozenset[str] = frozenset()


def configure_control(event_registry: EventHandlerRegistry | None = None, **arguments: Any) -> None:
    """Ask to be called when everything is over, so that the verdict comes last on the screen."""
    if event_registry is not None:
        event_registry.register(_LastWord())


class _LastWord(RunEventHandler):  # type: ignore[misc]
    def finish(self, journal: dict[str, Any]) -> None:
        global _outcome
        if not journal["experiment"].get("dry"):
            lines = NOTHING_OBSERVED if _outcome is None else _outcome.lines
            print("\n".join(lines), flush=True)  # noqa: T201
        _outcome = None


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
    journals: str = "journals",
    progress: bool = True,
    **timeouts: float,
) -> None:
    """Start the observer and wait until it is warm."""
    global _progress, _faults, _heals, _outcome
    _outcome = None
    with _interrupting():
        if context.get("dry"):
            _stay_dry(context["dry"])
            return
        _refuse_a_second()
        _faults, _heals = faults_of(context, faults), heals_of(context, heals)
        plan = Plan(
            service=service,
            workload=workload,
            arguments={**(workload_arguments or {}), **secret_arguments(service, secrets)},
            rate_per_s=rate_of(rate_per_s),
            limits=limits_of(context),
            parameters=parameters_of(parameters),
            **timeouts_of(timeouts),
        )
        drill = _make_drill(context, plan, make_folder(Path(journals), name or context["title"]))
        _progress = Progress(drill, shown=progress)
        _progress.begin()
        drill.start()
        if configuration is not None:
            _tell(configuration, service, drill.facts)


def _make_drill(experiment: dict[str, Any], plan: Plan, folder: Path) -> ObservedDrill:
    """The drill, known to probes and actions, and what faults are marked in."""
    drill_id = random_secrets.token_hex(4)
    drill = ObservedDrill(drill_id, experiment["title"], folder, plan, json.dumps(experiment, default=str))
    set_current(drill)
    marking.set_marker(drill.mark, str(folder))
    return drill


def _refuse_a_second() -> None:
    if current() is not None:
        raise UsageError("the experiment has two observe controls.", "keep one of them.")


def before_method_control(context: dict[str, Any], **arguments: Any) -> None:
    """Inject nothing before there is a clean baseline."""
    drill = current()
    if drill is not None:
        with _interrupting():
            drill.wait_baseline(logger.info)
            background = {one.get("name") for one in context.get("method", []) if one.get("background")}
            drill.pending_faults = set(_faults & background)


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
    if context.get("type") == "action":
        drill.enter(context["name"])
    if _is_foreign_fault(context) and not drill.method_over:
        with _interrupting():
            lock.hold(str(drill.folder), keep=True)
            drill.mark("fault_begin", context["name"])
    if _is_foreign(context, _heals) and not drill.over:
        _mark_or_note(drill, "heal_begin", context["name"])  # a heal is done whether it can be marked or not


def after_activity_control(context: dict[str, Any], state: dict[str, Any] | None = None, **arguments: Any) -> None:
    """Mark that another extension's fault succeeded; end the phase."""
    drill = current()
    if drill is None:
        return
    if state and state.get("status") == "succeeded" and _is_foreign_fault(context) and not drill.method_over:
        _end_foreign_fault(drill, context["name"], state)
    if state and state.get("status") == "succeeded" and _is_foreign(context, _heals) and not drill.over:
        _end_foreign_heal(drill, context["name"], state)
    if context.get("type") == "action":
        drill.leave(context["name"], ended=bool(state))


def _end_foreign_fault(drill: ObservedDrill, name: str, run: dict[str, Any]) -> None:
    """Mark the end of another extension's fault, if it hit something."""
    why = hit_nothing(run)
    if why:
        drill.note_error(f"the fault {name!r} hit nothing: {why}")
        logger.error(f"The fault {name!r} hit nothing: {why}")
        return
    _mark_or_note(drill, "fault_end", name)


def _end_foreign_heal(drill: ObservedDrill, name: str, run: dict[str, Any]) -> None:
    """Mark the end of another extension's heal, unless it failed after all."""
    why = refused(run)
    if why:
        drill.note_error(f"the heal {name!r} failed: {why}")
    else:
        _mark_or_note(drill, "heal_end", name)


def _mark_or_note(drill: ObservedDrill, mark: str, name: str) -> None:
    try:
        drill.mark(mark, name)
    except DrillError as error:
        drill.note_error(error.message)
        logger.error(str(error))


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
    """Judge what there is, put the summary into the journal, write the folder."""
    global _outcome
    state["node"] = ""
    drill = current()
    if drill is None:
        return
    try:
        _end_load(drill, state["status"])
        _tell_left(drill)
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
    if status in ("interrupted", "aborted"):
        drill.note_interruption()
    elif status == "completed" and drill.method_over and not drill.over:
        try:
            _finish(drill)
        except DrillError as error:
            drill.note_error(error.message)
    drill.give_up()


def _tell_left(drill: ObservedDrill) -> None:
    """Say what the rollbacks, the last chance of a run, did not heal."""
    left = drill.check_left()
    if left:
        logger.error(f"{left} is still not healed. Try: run 'chaos drills heal'.")


def _finish(drill: ObservedDrill) -> None:
    """End the load and judge; heals that come later are marked no more, for the record is closed."""
    drill.finish(logger.info)
    marking.set_marker(None, str(drill.folder))


def cleanup_control() -> None:
    """End the observer, whatever happened."""
    global _progress
    drill = current()
    if _progress is not None:
        _progress.end()
        _progress = None
    if drill is not None:
        marking.set_marker(None)
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
        _note(error.message)
        raise InterruptExecution(str(error)) from error
    except Exception as error:
        logger.debug("unexpected", exc_info=True)
        _note(f"unexpected {type(error).__name__}: {error}")
        raise InterruptExecution(f"The observe control failed: {type(error).__name__}: {error}") from error


def _note(reason: str) -> None:
    """Keep the first error of a drill: it is why its verdict is not known."""
    drill = current()
    if drill is not None:
        drill.note_error(reason)


def _tell(configuration: dict[str, Any], service: str, facts: Mapping[str, Any]) -> None:
    """Give activities what the workload said of itself, such as `kafka_topic`; never over what the user set."""
    for name, value in facts.items():
        if not configuration.get(f"{service}_{name}"):
            configuration[f"{service}_{name}"] = value


def _is_foreign_fault(activity: dict[str, Any]) -> bool:
    return _is_foreign(activity, _faults)


def _is_foreign(activity: dict[str, Any], names: frozenset[str]) -> bool:
    """Whether this is one of `names` that is really done and does not mark itself."""
    module = activity.get("provider", {}).get("module", "")
    return activity.get("name") in names and not module.startswith("chaosdrills.") and not activity.get("dry")


def _stay_dry(dry: Dry) -> None:
    """Observe nothing. Raises `UsageError` where the method's actions are done all the same: nobody would see them."""
    set_current(None, DRY_RUN)
    if dry in (Dry.PROBES, Dry.PAUSE):
        raise UsageError(
            f"with '--dry {dry.value}' faults are injected, and a dry run observes nothing.",
            "run without --dry, or check the experiment with '--dry activities'.",
        )
