"""The soak: the observer against a storm of faults on the lab.

At the end all is healed, the cluster is whole, everything is read back, and the record is judged by one objective:
nothing that was acknowledged is lost. Recovery times are no matter here: faults overlap. Besides the judge's verdict,
nothing unexpected may be found, and nothing may be left behind.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaosdrills import __version__
from chaosdrills.core.judge import Judgement, Limits, judge
from chaosdrills.core.stored import record_check
from chaosdrills.core.summary import Check, Drill, summarise
from chaosdrills.errors import DrillError
from chaosdrills.faults import heal_log, lock, marking
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.faults.registry import FAULTS
from chaosdrills.gameday.grounds import Ground
from chaosdrills.gameday.storm import Step
from chaosdrills.host.files import write_json
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle
from chaosdrills.lab.supervision import living
from chaosdrills.observe.folder import make_folder, scrub_log, without_names
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec

START_S, DRAIN_S, READ_BACK_S = 60.0, 90.0, 600.0
REMADE = "one producer"  # a check of the workload: in a storm a producer may have to be made anew
POLL_S = 0.2

logger = logging.getLogger(__name__)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """What is written while the storm rages, over how many streams."""

    rate_per_s: float
    streams: int


def soak(
    ground: Ground,
    steps: Sequence[Step],
    seed: int,
    load: Load,
    journals: Path,
    options: Mapping[str, Any],
    say: Say,
) -> dict[str, Any]:
    """Do `steps` on the lab of `ground` (one that runs, else one with `options`) under load, and judge; the summary.

    It is also in a folder of its own in `journals`, beside the record and the report. Raises `DrillError` if there is
    no lab, another drill is under way, or the observer cannot be started; nothing is left broken then either.
    """
    lock.hold("soak", keep=True)
    try:
        with _lab(ground, options, say) as cluster:
            folder = make_folder(journals, f"soak {seed}")
            judgement, checks = _observed(ground, steps, seed, load, cluster, folder, say)
        checks += _left_behind(ground.service, ours=cluster.owner == this_process())
        return _concluded(ground, seed, steps, folder, judgement, checks)
    finally:
        lock.release(kept=True)


@contextmanager
def _lab(ground: Ground, options: Mapping[str, Any], say: Say) -> Iterator[Cluster]:
    """The lab that runs, or one that ends with the block; its faults of ours are healed either way."""
    me = this_process()
    cluster = lifecycle.up(ground.service, options, me, say)
    try:
        yield cluster
    finally:
        try:
            if cluster.owner == me:
                lifecycle.down(ground.service)
        finally:
            heal_outstanding(ground.service, lambda entry: entry.mine)


def _observed(
    ground: Ground, steps: Sequence[Step], seed: int, load: Load, cluster: Cluster, folder: Path, say: Say
) -> tuple[Judgement, list[Check]]:
    """Watch the storm from its begin until all is read back; the judgement, and the checks on the way."""
    arguments = {**ground.arguments(cluster), ground.spread: load.streams}
    record = (folder / "record").resolve()
    spec = ObserverSpec(f"soak-{seed}", ground.service, ground.workload, record, arguments, load.rate_per_s)
    session = ObserverSession.start(spec, folder, START_S)
    marking.set_marker(session.mark, str(folder))
    checks: list[Check] = []
    try:
        checks += _storm(ground, steps, session, say)
        checks += _made_whole(ground, cluster, say)
        result = session.finish(DRAIN_S, READ_BACK_S, say)
        checks += [Check(**each) for each in result["checks"] if each["name"] != REMADE]
    finally:
        marking.set_marker(None)
        session.close()
        scrub_log(folder, "")
    checks.append(Check("observer ended", not session.alive, "ended" if not session.alive else "it still runs"))
    judgement = judge(read_record(record), Limits(max_lost=0))
    return judgement, [*checks, record_check(judgement), _unexpected(judgement)]


def _storm(ground: Ground, steps: Sequence[Step], session: ObserverSession, say: Say) -> list[Check]:
    """Do every step at its time, or as soon as the one before is done; what could not be done, as failed checks."""
    begun, troubles = time.monotonic(), []
    for step in steps:
        while (left_s := step.at_s - (time.monotonic() - begun)) > 0:
            session.snapshot()  # raises if the observer is gone
            time.sleep(min(POLL_S, left_s))
        try:
            say(f"{time.monotonic() - begun:6.1f} s  {_do(ground, step)}")
        except DrillError as error:
            session.snapshot()
            say(f"{time.monotonic() - begun:6.1f} s  {step.deed} failed: {error.message}")
            troubles.append(Check("storm", False, error.message.rstrip(".")))
    return troubles or [Check("storm", True, f"all {len(steps)} steps were done")]


def _do(ground: Ground, step: Step) -> str:
    """Do one step; what was done, in words."""
    if step.deed == "fault":
        return inject(FAULTS[step.kind], [ground.target(step.kind, node) for node in step.nodes])
    healing = heal_outstanding(
        ground.service, lambda entry: entry.mine and entry.target.handle.get("node") in step.nodes
    )
    healing.demand()
    return f"healed {', '.join(f'{ground.noun} {node}' for node in step.nodes)}"


def _made_whole(ground: Ground, cluster: Cluster, say: Say) -> list[Check]:
    """Heal all, and wait until the cluster is whole: only then a read-back proves anything."""
    say("healing what is still hurt, and waiting until the cluster is whole")
    try:
        heal_outstanding(ground.service, lambda entry: entry.mine).demand()
        found = ground.whole(cluster)
    except DrillError as error:
        return [Check("whole", False, error.message.rstrip("."))]
    return [Check("whole", True, found)]


def _unexpected(judgement: Judgement) -> Check:
    """Nothing was found that nobody wrote."""
    found = judgement.loss.tally.get("unexpected")
    return Check(
        "unexpected", found == 0, f"{'not known how many' if found is None else found} records that nobody wrote"
    )


def _left_behind(service: str, ours: bool) -> list[Check]:
    """Nothing of the storm is left: no fault, and no process of a lab of our own."""
    entries, damaged = heal_log.outstanding(service)
    left = [entry.target.label for entry in entries if entry.mine] + [each.path.name for each in damaged]
    checks = [Check("healed", not left, f"left: {', '.join(left)}" if left else "the heal log is empty")]
    alive = [str(each.pid) for each in living(service)] if ours else []
    return [*checks, Check("processes", not alive, f"left: {', '.join(alive)}" if alive else "none is left")]


def _concluded(
    ground: Ground, seed: int, steps: Sequence[Step], folder: Path, judgement: Judgement, checks: list[Check]
) -> dict[str, Any]:
    """Write summary and report; the summary."""
    faults = [step for step in steps if step.deed == "fault"]
    drill = Drill(
        drill_id=f"soak-{seed}",
        service=ground.service,
        kind="soak",
        title=f"A storm of {len(faults)} faults loses no acknowledged record (seed {seed})",
        started_at=judgement.history.started_at,
        checks=checks,
        evidence=("record", "summary.json", "observer.log"),
        environment={"seed": seed, "faults": len(faults), "steps": [asdict(step) for step in steps]},
        versions={"chaosdrills": __version__},
    )
    summary: dict[str, Any] = without_names(summarise(drill, judgement))
    try:
        write_json(folder / "summary.json", summary)
        _write_report(folder, summary, judgement)
    except (OSError, DrillError) as error:
        logger.warning("no report of the soak was written: %s", error)
    return {**summary, "folder": str(folder)}


def _write_report(folder: Path, summary: dict[str, Any], judgement: Judgement) -> None:
    from chaosdrills.report.folder import write_report

    write_report(folder, summary, judgement.as_dict(), judgement.history)
