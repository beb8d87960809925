"""Healing: undo what the heal log says, from any process and folder, as often as one likes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from chaosdrills.errors import DrillError, UnavailableError
from chaosdrills.faults import heal_log, lock, marking, registry
from chaosdrills.faults.fault import HEAL_TIMEOUT_S, Fault
from chaosdrills.faults.heal_log import Entry
from chaosdrills.host.locks import held
from chaosdrills.host.paths import state_dir

LOCK = "healing.lock"
HEALER_S = 2 * HEAL_TIMEOUT_S

Result = Literal["healed", "nothing to do", "refused", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one entry. `why` and `hint` are empty unless it was refused or failed."""

    id: str
    service: str
    what: str
    result: Result
    why: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing of it is left broken."""
        return self.result in ("healed", "nothing to do")


@dataclass(frozen=True)
class Healing:
    """All outcomes, oldest entry first. `unmarked` says why the record lacks a mark of it; empty if it does not."""

    outcomes: list[Outcome]
    unmarked: str = ""

    def count(self, result: Result) -> int:
        """How many outcomes are `result`."""
        return sum(outcome.result == result for outcome in self.outcomes)

    def demand(self) -> None:
        """Raise `UnavailableError` if something is not healed, or was healed without evidence."""
        bad = [outcome for outcome in self.outcomes if not outcome.ok]
        if bad:
            raise UnavailableError("; ".join(f"{bad_one.what}: {bad_one.why}" for bad_one in bad), bad[0].hint)
        if self.unmarked:
            raise UnavailableError(
                f"all is healed, but the drill has no evidence of it: {self.unmarked}", "run the drill again."
            )


def heal_outstanding(
    service: str = "",
    wanted: Callable[[Entry], bool] = lambda entry: True,
    force: bool = False,
    timeout_s: float = HEAL_TIMEOUT_S,
) -> Healing:
    """Heal every outstanding entry of `service` (empty: of any) that is `wanted`; see `Healing`.

    An entry whose environment runs already, or is gone, is removed, unless its owner may still be injecting. One whose
    owner is another living process is refused, unless `force`. One that fails keeps its entry. Marks are written only
    if there is something to do, and `heal_end` only if all of it was done. A service is healed even where its marks
    fail: that is told, not raised.

    One process heals at a time: what another one is healing is waited for, and is nothing to do then. Raises
    `UnavailableError` if that takes longer than `HEALER_S`.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # a full disk keeps nobody from healing
            stack.enter_context(held(state_dir() / LOCK, HEALER_S, "healing"))
        return _heal_outstanding(service, wanted, force, timeout_s)


def _heal_outstanding(service: str, wanted: Callable[[Entry], bool], force: bool, timeout_s: float) -> Healing:
    entries, damaged = heal_log.outstanding(service)
    outcomes = [_from_damage(each) for each in damaged]
    todo: list[tuple[Entry, Fault]] = []
    for entry in filter(wanted, entries):
        judged = _judge(entry, force)
        if isinstance(judged, Outcome):
            outcomes.append(judged)
        else:
            todo.append((entry, judged))
    done, unmarked = _heal_marked(todo, timeout_s) if todo else ([], "")
    release_when_healed()
    return Healing(sorted(outcomes + done, key=lambda outcome: outcome.id), unmarked)


def sweep(service: str) -> list[str]:
    """Remove entries of earlier runs that have nothing left to heal; returns what the others did.

    The caller holds the lock, so that the owners of all entries but its own are done with them.
    """
    entries, damaged = heal_log.outstanding(service)
    left = []
    for entry in entries:
        judged = None if entry.mine else _judge(entry, force=True)
        if judged is not None and not (isinstance(judged, Outcome) and judged.ok):
            left.append(what(entry))
    return left + [f"a damaged heal log entry, {each.path}" for each in damaged]


def what(entry: Entry) -> str:
    """What its fault did, in words; those of the entry alone where its fault cannot read it."""
    fault = registry.find(entry.fault)
    if fault is not None:
        with suppress(Exception):  # whatever is wrong with a handle, it keeps nothing else from being told and healed
            return fault.describe(entry.target)
    return f"{entry.fault} of {entry.target.label}"


def release_when_healed() -> None:
    """Give the lock back unless faults of this process are outstanding."""
    if not any(entry.mine for entry in heal_log.outstanding()[0]):
        lock.release()


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock during the block, and on as long as faults of this process are outstanding.

    Raises `UnavailableError` naming the holder if another drill has it: then the block is not entered.
    """
    try:
        with lock.kept(marking.drill()):
            yield
    finally:
        release_when_healed()


def _judge(entry: Entry, force: bool) -> Outcome | Fault:
    """The fault that must be healed now, or an outcome at once. Removes an entry that has nothing left to heal."""
    if entry.held and not force:
        return _outcome(
            entry,
            "refused",
            f"process {entry.owner.pid}, which injected it, still runs",
            f"wait until its drill has healed it, or end process {entry.owner.pid} first; --force heals all the same, "
            "and spoils that drill's figures.",
        )
    fault = registry.find(entry.fault)
    if fault is None:
        return _outcome(
            entry, "failed", f"this version knows no fault {entry.fault!r}", "heal with the version that injected it."
        )
    try:
        if not (entry.before_boot and fault.local) and fault.needs_heal(entry.target):
            return fault
        if entry.settled:
            heal_log.remove(entry)
    except Exception as error:  # one entry, however odd, keeps no other from being healed
        return _failure(entry, error)
    return _outcome(entry, "nothing to do")


def _heal_marked(todo: list[tuple[Entry, Fault]], timeout_s: float) -> tuple[list[Outcome], str]:
    """Heal all between two marks; the outcomes, and why a mark is missing."""
    label = " and ".join(f"heal of {what(entry)}" for entry, _ in todo)
    try:
        marking.mark("heal_begin", label)
    except UnavailableError as error:
        return _heal_all(todo, timeout_s), error.message
    outcomes = _heal_all(todo, timeout_s)
    if all(outcome.ok for outcome in outcomes):
        try:
            marking.mark("heal_end", label)
        except UnavailableError as error:
            return outcomes, error.message
    return outcomes, ""


def _heal_all(todo: list[tuple[Entry, Fault]], timeout_s: float) -> list[Outcome]:
    """Begin all heals, then wait for each: servers of one cluster may need one another to come up."""
    failures: dict[str, Outcome] = {}
    for entry, fault in todo:
        try:
            fault.heal(entry.target)
        except Exception as error:
            failures[entry.id] = _failure(entry, error)
    return [failures.get(entry.id) or _wait(entry, fault, timeout_s) for entry, fault in todo]


def _wait(entry: Entry, fault: Fault, timeout_s: float) -> Outcome:
    """Wait until it is healed and remove its entry, or keep it."""
    try:
        fault.wait_healed(entry.target, timeout_s)
        heal_log.remove(entry)
    except Exception as error:
        return _failure(entry, error)
    return _outcome(entry, "healed")


def _outcome(entry: Entry, result: Result, why: str = "", hint: str = "") -> Outcome:
    return Outcome(entry.id, entry.target.service, what(entry), result, why, hint)


def _failure(entry: Entry, error: Exception) -> Outcome:
    if isinstance(error, DrillError):
        return _outcome(entry, "failed", error.message, error.hint)
    if isinstance(error, OSError):
        return _outcome(entry, "failed", str(error), "mend that, and run 'chaos drills heal' again.")
    damage = heal_log.Damaged(
        heal_log.path_of(entry.id), f"its target's handle is not one of {entry.fault!r} ({error})"
    )
    return _from_damage(damage)


def _from_damage(damaged: heal_log.Damaged) -> Outcome:
    return Outcome(
        damaged.path.stem,
        "",
        f"heal log entry {damaged.path}",
        "failed",
        f"it is damaged: {damaged.why}",
        f"see what its fault hit (its name tells when and which), mend that by hand, then delete {damaged.path}.",
    )
