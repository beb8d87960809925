"""The check-up: whether a drill can run on this machine, and what to do where it cannot.

Every check looks and changes nothing, needs no network, and says what it found, as ``ok``, ``warn`` (a drill can run,
but something is missing or will be slow) or ``fail`` (no drill can run), with the fix in one line.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from chaosdrills.errors import DrillError

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What one check found. `fix` is empty where all is well."""

    name: str
    state: State
    detail: str
    fix: str = ""


def lacking(name: str, error: DrillError, state: State = "warn") -> Finding:
    """What is not there, as its error says."""
    return Finding(name, state, error.message.rstrip("."), error.hint)


Check = Callable[[], Finding | list[Finding]]


def checks() -> list[Check]:
    """All checks, in the order in which they are read."""
    from chaosdrills.gameday import machine, outstanding, postgresql, programs, redis, rights, serving

    return [
        programs.python,
        programs.environment,
        programs.scripts,
        programs.packages,
        programs.kafka_driver,
        machine.folders,
        machine.memory,
        machine.processors,
        machine.open_files,
        machine.clock,
        serving.java,
        serving.jars,
        serving.aot_cache,
        serving.ports,
        postgresql.driver,
        postgresql.server,
        postgresql.timescaledb,
        postgresql.etcd,
        postgresql.patroni,
        postgresql.user,
        postgresql.ports,
        postgresql.pooler,
        redis.driver,
        redis.server,
        redis.feast,
        redis.ports,
        outstanding.drill,
        outstanding.heal_log,
        rights.isolation,
    ]


def examine(all_checks: Iterable[Check]) -> list[Finding]:
    """What all checks find; one that fails itself is a warning, for nothing is known then."""
    findings: list[Finding] = []
    for check in all_checks:
        try:
            found = check()
        except Exception as error:  # whatever this machine lacks, the other checks are worth having
            name = check.__name__.replace("_", " ")
            found = Finding(name, "warn", f"cannot be looked at: {error!r}", "look at it by hand.")
        findings += found if isinstance(found, list) else [found]
    return findings


def can_run(findings: Iterable[Finding]) -> bool:
    """Whether a drill can run."""
    return not any(finding.state == "fail" for finding in findings)
