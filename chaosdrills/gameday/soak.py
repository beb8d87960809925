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
from importlib import import_module
from pathlib import Path
from typing import Any

from chaosdrills import __version__
from chaosdrills.core.judge import Judgement, Limits, judge
from chaosdrills.core.stored import record_check
from chaosdrills.core.summary import Check, Drill, summarise
from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.faults import heal_log, lock, marking
from chaosdrills.faults.fault import Target
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.faults.registry import FAULTS
from chaosdrills.gameday.storm import Step
from chaosdrills.host.files import write_json
from chaosdrills.host.nodes import Cluster, load
from chaosdrills.host.processes import this_process
from chaosdrills.kafka.client import Connection
from chaosdrills.kafka.health import wait_whole
from chaosdrills.lab import lifecycle
from chaosdrills.lab.supervision import living
from chaosdrills.observe.folder import make_folder, scrub_log, without_names
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.session import ObserverSession, ObserverSpec

SERVICE = "kafka"
WORKLOAD = "chaosdrills.kafka.workload:KafkaWorkload"
PROCESS_KINDS = ("kill", "stop", "pause")  # of the registry those that hit a node's process, on any lab
NETWORK_KINDS = ("isolate",)  # those that need a lab whose network can be cut
START_S, WHOLE_S, DRAIN_S, READ_BACK_S = 60.0, 180.0, 90.0, 600.0
REMADE = "one producer"  # a check of the workload: in a storm a producer may have to be made anew
POLL_S = 0.2

logger = logging.getLogger(__name__)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """What is written while the storm rages."""

    rate_per_s: float = 200.0
    partitions: int = 6


def kinds(network: str = "") -> tuple[str, ...]:
    """The kinds of faults that this version can do in a storm on a lab with that option `network`."""
    wanted = PROCESS_KINDS + NETWORK_KINDS if network else PROCESS_KINDS
    return tuple(kind for kind in wanted if kind in FAULTS)


def soak(
    steps: Sequence[Step], seed: int, load: Load, journals: Path, options: Mapping[str, Any], say: Say
) -> dict[str, Any]:
    """Do `steps` on the lab (one that runs, else one with `options`) under load, judge, and return the summary.

    It is also in a folder of its own in `journals`, beside the record and the report. Raises `DrillError` if there is
    no lab, another drill is under way, or the observer cannot be started; nothing is left broken then either.
    """
    lock.hold("soak", keep=True)
    try:
        with _lab(options, say) as cluster:
            folder = make_folder(journals, f"soak {seed}")
            judgement, checks = _observed(steps, seed, load, cluster, folder, say)
        checks += _left_behind(ours=cluster.owner == this_process())
        return _concluded(seed, steps, folder, judgement, checks)
    finally:
        lock.release(kept=True)


@contextmanager
def _lab(options: Mapping[str, Any], say: Say) -> Iterator[Cluster]:
    """The lab that runs, or one that ends with the block; its faults of ours are healed either way."""
    me = this_process()
    cluster = lifecycle.up(SERVICE, options, me, say)
    try:
        yield cluster
    finally:
        try:
            if cluster.owner == me:
                lifecycle.down(SERVICE)
        finally:
            heal_outstanding(SERVICE, lambda entry: entry.mine)


def _observed(
    steps: Sequence[Step], seed: int, load: Load, cluster: Cluster, folder: Path, say: Say
) -> tuple[Judgement, list[Check]]:
    """Watch the storm from its begin until all is read back; the judgement, and the checks on the way."""
    arguments = {"bootstrap_servers": cluster.endpoint, "partitions": load.partitions}
    record = (folder / "record").resolve()
    spec = ObserverSpec(f"soak-{seed}", SERVICE, WORKLOAD, record, arguments, load.rate_per_s)
    session = ObserverSession.start(spec, folder, START_S)
    marking.set_marker(session.mark, str(folder))
    checks: list[Check] = []
    try:
        checks += _storm(steps, session, say)
        checks += _made_whole(cluster, say)
        result = session.finish(DRAIN_S, READ_BACK_S, say)
        checks += [Check(**each) for each in result["checks"] if each["name"] != REMADE]
    finally:
        marking.set_marker(None)
        session.close()
        scrub_log(folder, "")
    checks.append(Check("observer ended", not session.alive, "ended" if not session.alive else "it still runs"))
    judgement = judge(read_record(record), Limits(max_lost=0))
    return judgement, [*checks, record_check(judgement), _unexpected(judgement)]


def _storm(steps: Sequence[Step], session: ObserverSession, say: Say) -> list[Check]:
    """Do every step at its time, or as soon as the one before is done; what could not be done, as failed checks."""
    begun, troubles = time.monotonic(), []
    for step in steps:
        while (left_s := step.at_s - (time.monotonic() - begun)) > 0:
            session.snapshot()  # raises if the observer is gone
            time.sleep(min(POLL_S, left_s))
        try:
            say(f"{time.monotonic() - begun:6.1f} s  {_do(step)}")
        except DrillError as error:
            session.snapshot()
            say(f"{time.monotonic() - begun:6.1f} s  {step.deed} failed: {error.message}")
            troubles.append(Check("storm", False, error.message.rstrip(".")))
    return troubles or [Check("storm", True, f"all {len(steps)} steps were done")]


def _do(step: Step) -> str:
    """Do one step; what was done, in words."""
    if step.deed == "fault":
        return inject(FAULTS[step.kind], [_target(step.kind, node) for node in step.nodes])
    healing = heal_outstanding(SERVICE, lambda entry: entry.mine and entry.target.handle.get("node") in step.nodes)
    healing.demand()
    return f"healed {', '.join(f'broker {node}' for node in step.nodes)}"


def _target(kind: str, node_id: int) -> Target:
    """The node as it runs now. Raises `UnavailableError` if it does not: nobody asked it to end."""
    cluster = load(SERVICE)
    process = None if cluster is None else cluster.node(node_id).process
    if cluster is None or process is None:
        raise UnavailableError(f"broker {node_id} does not run though nobody hurt it.", "read its log.")
    if kind in NETWORK_KINDS:
        made: Target = _maker(kind)(cluster, node_id, f"broker {node_id}", "id")
        return made
    handle = {"node": node_id, "pid": process.pid, "start_ticks": process.start_ticks}
    return Target(SERVICE, f"broker {node_id}", "id", handle)


def _maker(kind: str) -> Callable[..., Target]:
    """What makes the targets of a fault that hits a node's network."""
    maker: Callable[..., Target] = getattr(import_module(f"chaosdrills.faults.{kind}"), f"{kind}_target")
    return maker


def _made_whole(cluster: Cluster, say: Say) -> list[Check]:
    """Heal all, and wait until the cluster is whole: only then a read-back proves anything."""
    say("healing what is still hurt, and waiting until the cluster is whole")
    try:
        heal_outstanding(SERVICE, lambda entry: entry.mine).demand()
        found = wait_whole(Connection(cluster.endpoint), [node.id for node in cluster.nodes], WHOLE_S)
    except DrillError as error:
        return [Check("whole", False, error.message.rstrip("."))]
    return [Check("whole", True, f"{found.brokers} brokers, every replica in sync")]


def _unexpected(judgement: Judgement) -> Check:
    """Nothing was found that nobody wrote."""
    found = judgement.loss.tally.get("unexpected")
    return Check(
        "unexpected", found == 0, f"{'not known how many' if found is None else found} records that nobody wrote"
    )


def _left_behind(ours: bool) -> list[Check]:
    """Nothing of the storm is left: no fault, and no process of a lab of our own."""
    entries, damaged = heal_log.outstanding(SERVICE)
    left = [entry.target.label for entry in entries if entry.mine] + [each.path.name for each in damaged]
    checks = [Check("healed", not left, f"left: {', '.join(left)}" if left else "the heal log is empty")]
    alive = [str(each.pid) for each in living(SERVICE)] if ours else []
    return [*checks, Check("processes", not alive, f"left: {', '.join(alive)}" if alive else "none is left")]


def _concluded(
    seed: int, steps: Sequence[Step], folder: Path, judgement: Judgement, checks: list[Check]
) -> dict[str, Any]:
    """Write summary and report; the summary."""
    faults = [step for step in steps if step.deed == "fault"]
    drill = Drill(
        drill_id=f"soak-{seed}",
        service=SERVICE,
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
