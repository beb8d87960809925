"""What every register workload holds to, whatever its service: a suite that each runs against real servers.

A test module makes a class of its own of `RegisterConformance` and gives it the fixture `service`.
"""

from typing import Any, Protocol

import numpy as np

from chaosdrills.core.exchange import format_lines, parse
from chaosdrills.core.history import NO_SEQ, NO_TIME, NS, History, Operations, Outcome, by_stream
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.host.processes import wait_until

RETIRE_S = 1.0
SHORT = Parameters(stable_s=2, baseline_s=4, watch_s=1)


class Load(Protocol):
    """An observer at work."""

    session: Any

    @property
    def history(self) -> History: ...

    def wait_acked(self, count: int) -> None: ...

    def finish(self) -> dict[str, Any]: ...


class Service(Protocol):
    """A real service, and ways past everything that is tested. Registers are their numbers."""

    def start(self, **arguments: Any) -> Load:
        """Start the workload; `lanes`, `retire_s`, `reads_per_s`, `rate_per_s`."""

    def held(self, load: Load) -> dict[int, int]:
        """The seq that each register holds now."""

    def remove(self, load: Load, register: int) -> None:
        """Remove a register."""

    def set_back(self, load: Load, register: int, seq: int) -> None:
        """Have a register hold an older write, whole."""

    def cut(self, load: Load) -> None:
        """End the connections of the workload's writers."""


class GuardedService(Service, Protocol):
    """One that compares what is written with what is there."""

    def write_again(self, load: Load, register: int, seq: int) -> None:
        """Send an older write again, as the workload does."""


def acked(history: History) -> dict[int, Operations]:
    """The acknowledged writes of each register, ascending by seq."""
    return by_stream(history.writes.select(history.writes.outcome == Outcome.OK))


def surely_lost(acknowledged: Operations, newest: int) -> int:
    """How many acknowledged writes are newer than the one that is there, and were due after that had ended.

    Where a commit took longer than it was until the next one was due, the two may have changed places.
    """
    there = acknowledged.seq.tolist().index(newest)
    newer = acknowledged.seq > newest
    return int((newer & (acknowledged.invoked_ns > acknowledged.completed_ns[there])).sum())


def figures(history: History) -> dict[str, Any]:
    """What the judge says."""
    return judge(history, Limits(rpo_s=86_400, max_lost=0), SHORT).as_dict()


def retired(service: Service, load: Load, count: int) -> list[int]:
    """The first registers, once nobody writes to them or reads them any more."""
    assert wait_until(lambda: len(service.held(load)) >= count + 30, 60), service.held(load)
    return list(range(count))


class RegisterConformance:
    """The suite."""

    def test_a_healthy_run(self, service: Service) -> None:
        load = service.start(lanes=4, retire_s=RETIRE_S, reads_per_s=50, rate_per_s=200)
        load.wait_acked(800)
        load.session.mark("fault_begin", "nothing")
        load.session.mark("fault_end")
        held = service.held(load)
        load.wait_acked(400)
        result = load.finish()

        history = load.history
        assert result["acked"] == result["sent"] == len(history.writes)
        assert [check for check in result["checks"] if not check["ok"]] == []
        assert history.stream_kind == "register"
        assert history.streams == tuple(map(str, range(len(history.streams))))
        assert len(history.streams) >= 4 * 4
        assert set(history.finals) == set(range(len(history.streams)))
        for stream, written in by_stream(history.writes).items():
            assert written.seq.tolist() == list(range(len(written)))
            assert (np.diff(written.invoked_ns) > 0).all(), "seqs are in the order of invocation"
            assert written.invoked_ns[-1] - written.invoked_ns[0] < RETIRE_S * NS
            assert history.finals[stream].seqs.tolist() == [len(written) - 1]
        assert set(held) <= set(history.finals)
        found = figures(history)
        names = ("lost", "recovered", "duplicated", "unexpected", "stale", "reordered", "freshness_s")
        assert judge(parse(format_lines(history)), Limits(rpo_s=86_400, max_lost=0), SHORT).as_dict() == found
        assert {name: found[name] for name in names} == {
            **dict.fromkeys(names, 0),
            "reordered": None,
            "freshness_s": None,
        }

    def test_reads_are_an_open_loop_of_their_own(self, service: Service) -> None:
        load = service.start(lanes=4, retire_s=RETIRE_S, reads_per_s=100, rate_per_s=200)
        load.wait_acked(800)
        load.finish()
        history = load.history
        assert set(np.diff(history.reads.invoked_ns)) == {NS // 100}
        assert (history.reads.outcome == Outcome.OK).all()
        seen, written = by_stream(history.reads), by_stream(history.writes)
        assert len(set(written) - set(seen)) <= 8, "all were read but perhaps the last"
        later = [stream for stream, reads in seen.items() if (reads.seq > 0).any()]
        assert len(later) > len(written) // 2

    def test_planted_loss_is_counted_exactly(self, service: Service) -> None:
        load = service.start(lanes=4, retire_s=RETIRE_S, rate_per_s=200)
        load.wait_acked(400)
        load.session.mark("fault_begin", "planted loss")
        load.session.mark("fault_end")
        gone, other, back, *_ = retired(service, load, 8)
        service.remove(load, gone)
        service.remove(load, other)
        service.set_back(load, back, 3)
        load.finish()

        history = load.history
        written = acked(history)
        lost = len(written[gone]) + len(written[other]) + surely_lost(written[back], 3)
        found = figures(history)
        assert history.finals[gone].seqs.tolist() == []
        assert history.finals[back].seqs.tolist() == [3]
        assert (found["lost"], found["unexpected"], found["rpo_verdict"]) == (lost, 0, "missed"), written[back]
        assert lost > 20

    def test_planted_stale_reads_are_counted(self, service: Service) -> None:
        load = service.start(lanes=1, retire_s=4.0, reads_per_s=100, rate_per_s=50)
        load.wait_acked(50)
        before = len(service.held(load))
        assert wait_until(lambda: len(service.held(load)) > before, 30)
        service.set_back(load, before - 1, 0)  # nobody writes to it any more, and it is still read
        load.wait_acked(50)
        load.finish()
        history = load.history
        reads, written = by_stream(history.reads)[before - 1], acked(history)[before - 1]
        stale = [
            seq for seq, at_ns in zip(reads.seq.tolist(), reads.invoked_ns.tolist(), strict=True)
            if seq < max(written.seq[written.completed_ns < at_ns].tolist(), default=NO_SEQ)
        ]  # fmt: skip
        assert len(stale) > 20
        assert set(stale) == {0}
        assert figures(history)["stale"] == len(stale)

    def test_a_lost_connection_retires_its_register(self, service: Service) -> None:
        load = service.start(lanes=4, retire_s=3600.0, rate_per_s=400)
        load.wait_acked(100)
        before = set(service.held(load))
        service.cut(load)
        load.wait_acked(200)
        assert len(before) == 4
        assert len(set(service.held(load)) - before) == 4
        load.finish()
        history = load.history
        assert len(history.streams) == 8
        assert figures(history)["lost"] == 0
        nobody_knows = history.writes.select(history.writes.completed_ns == NO_TIME)
        assert set(nobody_knows.outcome.tolist()) <= {Outcome.UNKNOWN}


class GuardedConformance(RegisterConformance):
    """The suite of those whose server compares what is written with what is there."""

    def test_an_older_write_never_replaces_a_newer_one(self, service: GuardedService) -> None:
        load = service.start(lanes=2, retire_s=RETIRE_S, rate_per_s=200)
        load.wait_acked(200)
        first, *_ = retired(service, load, 2)
        newest = service.held(load)[first]
        service.write_again(load, first, newest - 1)
        assert service.held(load)[first] == newest
        load.finish()
        assert figures(load.history)["lost"] == 0
