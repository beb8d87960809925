"""Fixtures that several suites share: real labs, and folders of their own for state."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from chaosdrills.host.nodes import Cluster, load, start_node
from chaosdrills.host.processes import wait_until
from chaosdrills.lab.lifecycle import service_module
from chaosdrills.lab.ports import is_free
from tests.shared_labs import SharedLabs, lab_in

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has started the tests in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what they start, and interrupt, would inherit it

PORTS_OF_A_LAB = (0, 1, 2, 100, 101, 102)
POSTGRESQL_OFFSETS = (0, 1, 20, 21, 40, 41, 50, 51, 60, 70, 71, 90)  # of one on any network
REDIS_OFFSETS = (*(first + node for first in (0, 20, 40, 50, 70) for node in range(3)), 60)  # of one on any network
PORTS_OF_A_WORKER = 1600
WORKERS = 6  # the Makefile's
OFFSETS = tuple(first + node for first in (0, 10, 50, 60, 100, 150) for node in range(3))  # of one on any network


def free_base_port(offsets: tuple[int, ...] = PORTS_OF_A_LAB) -> int:
    """A base port for a Kafka lab whose ports are free now, below the range the kernel hands out itself.

    Each of up to `WORKERS` pytest-xdist workers looks in a range of its own: two must not find the same ports free.
    Those of another pytest beside have the numbers from `TESTS_LANE` on.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + int(os.environ.get("TESTS_LANE", 0))
    first = 20000 + worker % WORKERS * PORTS_OF_A_WORKER
    begin = os.getpid() % 8 * 200  # other runs of the tests on this machine
    for step in range(0, PORTS_OF_A_WORKER, 200):
        base = first + (begin + step) % PORTS_OF_A_WORKER
        if all(is_free(base + offset) for offset in offsets):
            return base
    raise RuntimeError(f"no free ports for a lab between {first} and {first + PORTS_OF_A_WORKER}")


LONGEST = (
    "lab/test_experiments.py",
    "drills/test_accidents.py",
    "timescaledb/test_workload.py",
    "timescaledb/test_actions.py",
    "timescaledb/test_isolation.py",
    "timescaledb/test_registers.py",
    "lab/test_timescaledb_experiments.py",
    "lab/test_redis_experiments.py",
    "lab/test_feast_experiments.py",
    "lab/test_timescaledb_lab.py",
    "lab/test_application.py",
    "redis/test_actions.py",
    "redis/test_isolation.py",
    "redis/test_workload.py",
    "redis/test_probes.py",
    "feast/test_features.py",
    "kafka/test_restart.py",
    "kafka/test_isolation.py",
    "kafka/test_workload.py",
    "kafka/test_group.py",
    "kafka/test_actions.py",
    "gameday/test_soak.py",
    "drills/test_documented.py",
    "drills/test_abort.py",
    "drills/test_talking.py",
    "kafka/test_probes.py",
    "drills/test_foreign.py",
    "kafka/test_faults.py",
    "kafka/test_authentication.py",
    "lab/test_kafka_lab.py",
    "drills/test_own_lab.py",
)
TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take longest come first, so that no worker is left alone with one (``--no-loadscope-reorder``)."""
    rank = {TESTS / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A temporary XDG_STATE_HOME for the whole session, in this process's environment too."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared_labs() -> Iterator[SharedLabs]:
    """What keeps labs up from file to file."""
    labs = SharedLabs()
    yield labs
    labs.end_idle()


def _held(service: str, offsets: tuple[int, ...], labs: SharedLabs, state: Path) -> AbstractContextManager[Cluster]:
    return labs.held(f"{service}_lab", lambda: lab_in(state, service, {"base_port": free_base_port(offsets)}))


@pytest.fixture(scope="module")
def kafka_lab(shared_labs: SharedLabs, state_home: Path) -> Iterator[Cluster]:
    """Three real Kafka brokers for a file, and for the next that asks for them, on free ports, in `state_home`.

    Yields the `chaosdrills.host.nodes.Cluster`; `kafka_lab.endpoint` is the bootstrap list, `nodes[i].data_dir` a
    node's log directory. XDG_STATE_HOME points to this lab from the first use on, so `host.nodes.load("kafka")` finds
    it, and `start_node("kafka", id)` works. A test that kills a node starts it again and waits until it is in sync:
    the next test wants all three. Topics are never removed: use names of your own (`uuid.uuid4()`).

    The jars and the AOT cache are the user's own (XDG_CACHE_HOME is left alone), so that only the first run is slow.
    """
    with _held("kafka", PORTS_OF_A_LAB, shared_labs, state_home) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def whole_kafka_lab(request: pytest.FixtureRequest) -> None:
    """Before each test of `kafka_lab`: start what an earlier test left dead, and bring the fixture up to date.

    A node that was killed and started is another process, so the `Cluster` that the session began with grows stale.
    """
    if "kafka_lab" in request.fixturenames:
        _make_whole("kafka", request)


@pytest.fixture(scope="module")
def timescaledb_lab(shared_labs: SharedLabs, state_home: Path) -> Iterator[Cluster]:
    """Two real PostgreSQL nodes and etcd, as `kafka_lab` has it; whichever of the two leads.

    `chaosdrills.lab.timescaledb.configuration(timescaledb_lab)` is how they are reached. Drop what you make.
    """
    with _held("timescaledb", POSTGRESQL_OFFSETS, shared_labs, state_home) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def whole_timescaledb_lab(request: pytest.FixtureRequest) -> None:
    """Before each test of `timescaledb_lab`: start what an earlier test left dead, and bring the fixture up to date."""
    if "timescaledb_lab" in request.fixturenames:
        _make_whole("timescaledb", request)


@pytest.fixture(scope="module")
def redis_lab(shared_labs: SharedLabs, state_home: Path) -> Iterator[Cluster]:
    """A real Redis primary, two replicas and three sentinels, as `kafka_lab` has it; whoever leads.

    `chaosdrills.lab.redis.configuration(redis_lab)` is how they are reached. Use keys of your own.
    """
    with _held("redis", REDIS_OFFSETS, shared_labs, state_home) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def whole_redis_lab(request: pytest.FixtureRequest) -> None:
    """Before each test of `redis_lab`: start what an earlier test left dead, and bring the fixture up to date."""
    if "redis_lab" in request.fixturenames:
        _make_whole("redis", request)


def _make_whole(service: str, request: pytest.FixtureRequest) -> None:
    cluster: Cluster = request.getfixturevalue(f"{service}_lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(request.getfixturevalue("state_home")))
        for node in cluster.nodes:
            start_node(service, node.id)
        found = load(service)
        assert found is not None, f"the session's {service} lab is gone: a test has ended it"
        cluster.nodes[:] = found.nodes
        ready = wait_until(lambda: not service_module(service).awaited(cluster), 90, 0.2)
        assert ready, f"the session's {service} lab is not whole: {service_module(service).awaited(cluster)}"
