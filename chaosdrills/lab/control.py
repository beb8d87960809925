"""Chaos Toolkit control: a lab for the time of an experiment, if the experiment was not pointed at another cluster.

::

    {"name": "lab", "provider": {"type": "python", "module": "chaosdrills.lab.control",
     "arguments": {"service": "kafka", "options": {"settings": {"broker.session.timeout.ms": 3000}}}}}

It stands before the observe control. It starts a lab in `before_experiment_control` if the configuration's endpoint
(`kafka_bootstrap_servers`, `timescaledb_dsn`) is the lab's default, that is, if neither the environment nor ``--var``
overrode it. A healthy lab with the same options that already runs is used, and left running. The configuration's
endpoint, and what else is to be known of the lab, is set: hooks and activities are given this same dict, so all that
comes later in the run sees it. Where the environment or ``--var`` named another of what else, and no endpoint, that is
refused. What was started ends in `cleanup_control`, after the other controls' last hooks, or with `chaos` itself,
however that dies.

The Chaos Toolkit swallows every exception of a control but `InterruptExecution` in a before-hook, so that is what an
error becomes here.
"""

import difflib
import logging
from typing import Any

from chaoslib.exceptions import InterruptExecution, InvalidActivity

from chaosdrills.errors import DrillError, UsageError
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle

ARGUMENTS = {"service", "options", "timeout_s"}

logger = logging.getLogger("chaostoolkit")
_started: list[str] = []  # services whose labs this process started; one experiment runs in a process


def validate_control(control: dict[str, Any]) -> None:
    """Refuse arguments that cannot be used, for `chaos validate` and `chaos run`. Raises `InvalidActivity`."""
    try:
        _check((control.get("provider") or {}).get("arguments") or {})
    except DrillError as error:
        raise InvalidActivity(f"control '{control.get('name')}': {error}") from error


def before_experiment_control(
    context: dict[str, Any],
    configuration: dict[str, Any] | None = None,
    experiment: dict[str, Any] | None = None,
    **arguments: Any,
) -> None:
    """Bring the lab up. Raises `InterruptExecution` if that fails."""
    if (experiment or context).get("dry"):
        return
    try:
        _check(arguments)
        declared = (experiment or context).get("configuration") or {}
        _bring_up(arguments, {} if configuration is None else configuration, declared)
    except DrillError as error:
        raise InterruptExecution(f"the lab cannot be used: {error}") from error
    except Exception as error:
        raise InterruptExecution(f"the lab failed with an unexpected {type(error).__name__}: {error}") from error


def cleanup_control() -> None:
    """End the labs that this process started."""
    while _started:
        service = _started.pop()
        try:
            lifecycle.down(service)
            logger.info(f"The {service} lab has ended")
        except Exception as error:
            logger.error(f"The {service} lab may not have ended: {error}")


def _check(arguments: dict[str, Any]) -> None:
    if not isinstance(arguments, dict):
        raise UsageError("the lab control's arguments are no object.", 'write {"name": value}.')
    unknown = sorted(set(arguments) - ARGUMENTS)
    if unknown:
        close = difflib.get_close_matches(unknown[0], ARGUMENTS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"use {', '.join(sorted(ARGUMENTS))}."
        raise UsageError(f"the lab control has no argument '{unknown[0]}'.", hint)
    if "service" not in arguments:
        raise UsageError("the lab control needs the argument 'service'.", 'write, for example, "service": "kafka".')
    if not isinstance(arguments["service"], str):
        raise UsageError("the lab control's service is no text.", 'write, for example, "service": "kafka".')
    options = arguments.get("options") or {}
    if not isinstance(options, dict):
        raise UsageError("the lab control's options are no object.", 'write {"name": value}.')
    _check_timeout(arguments.get("timeout_s", lifecycle.START_TIMEOUT_S))
    lifecycle.service_module(arguments["service"]).normalise(options)


def _check_timeout(timeout_s: Any) -> None:
    """Refuse what is no time; what a variable will say is known only in a run."""
    if "${" in str(timeout_s):
        return
    try:
        usable = not isinstance(timeout_s, bool) and 0 < float(timeout_s) < 1e6
    except (TypeError, ValueError, OverflowError):
        usable = False
    if not usable:
        raise UsageError(f"the lab control's timeout_s is {timeout_s!r}.", "give seconds, above 0.")


def _bring_up(arguments: dict[str, Any], configuration: dict[str, Any], declared: dict[str, Any]) -> None:
    service = arguments["service"]
    module = lifecycle.service_module(service)
    key, default = module.ENDPOINT_KEY, module.DEFAULT_ENDPOINT
    asked = module.addresses(str(configuration.get(key, default)))
    if asked != module.addresses(default):
        where = ", ".join(sorted(asked)) or "of another kind"
        logger.info(f"No {service} lab: {key} is {where}, not the lab's own address")
        return
    me = this_process()
    timeout_s = float(arguments.get("timeout_s", lifecycle.START_TIMEOUT_S))
    cluster = lifecycle.up(service, arguments.get("options"), me, _say, timeout_s)
    if cluster.owner == me:
        _started.append(service)
    else:
        logger.info(f"Using the {service} lab that runs at {cluster.endpoint}")
    told = module.configuration(cluster)
    _refuse_elsewhere(key, [name for name in told if _is_given(name, told[name], configuration, declared)])
    configuration.update(told)


def _is_given(name: str, of_lab: str, configuration: dict[str, Any], declared: dict[str, Any]) -> bool:
    """Whether the environment or ``--var`` names another one than the lab's."""
    entry = declared.get(name)
    default = entry.get("default") if isinstance(entry, dict) else entry
    return configuration.get(name) not in ("", None, of_lab, default)


def _refuse_elsewhere(key: str, names: list[str]) -> None:
    """Raise `UsageError` for what stands beside a cluster of one's own where that itself is not given.

    The drill would be the lab's, and its verdict would be taken for that of the other.
    """
    given = [name for name in names if name != key]
    if given:
        shown = ", ".join(f"{name} ({name.upper()})" for name in given)
        raise UsageError(
            f"{shown} is given, but {key} ({key.upper()}) is the lab's: the lab would be drilled.",
            f"give {key} too; or leave out {', '.join(given)} to drill the lab.",
        )


def _say(line: str) -> None:
    logger.info(f"Lab: {line}")
