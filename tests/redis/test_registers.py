"""The register variant of the Redis workload on real servers."""

from typing import Any

import pytest

from chaosdrills.observe.payload import Seal, filler
from tests.observe.observed import Observed
from tests.observe.register_conformance import RegisterConformance
from tests.redis.conftest import StartDrill
from tests.redis.test_workload import at_primary

pytestmark = pytest.mark.lab


class OnTheLab:
    """The registers of the lab's Redis, by redis-py."""

    def __init__(self, url: str, start: StartDrill) -> None:
        self._url, self._start = url, start
        self._client = at_primary(url)

    def start(self, **arguments: Any) -> Observed:
        return self._start(self._url, kind="register", connections=arguments.pop("lanes"), **arguments)

    def held(self, load: Observed) -> dict[int, int]:
        names = list(self._client.scan_iter(f"chaosdrills:{load.drill_id}:r:*"))
        values = self._client.mget(names) if names else []
        return {
            int(name.rpartition(":")[2]): int(value.split(" ")[0]) for name, value in zip(names, values, strict=True)
        }

    def remove(self, load: Observed, register: int) -> None:
        assert self._client.delete(self._key(load, register)) == 1

    def set_back(self, load: Observed, register: int, seq: int) -> None:
        checksum = Seal(load.drill_id, register, filler(100)).of(b"%d" % seq).decode()
        self._client.set(self._key(load, register), f"{seq} {checksum} {filler(100)}")

    def cut(self, load: Observed) -> None:
        lines = self._client.client_list()
        writers = [it["id"] for it in lines if it["name"] == f"chaosdrills-{load.drill_id}" and it["cmd"] == "set"]
        assert len(writers) == 4
        for each in writers:
            self._client.client_kill_filter(_id=each)

    def _key(self, load: Observed, register: int) -> str:
        return f"chaosdrills:{load.drill_id}:r:{register}"


@pytest.fixture
def service(url: str, start_drill: StartDrill) -> OnTheLab:
    return OnTheLab(url, start_drill)


class TestRegisters(RegisterConformance):
    """The suite, on Redis."""


def test_what_is_recorded_of_the_kind(service: OnTheLab) -> None:
    drill = service.start(lanes=2)
    drill.wait_acked(50)
    drill.finish()
    facts = drill.history.header
    assert (facts["read_from"], facts["reads_per_s"], facts["retire_s"]) == ("primary", 50, 1.0)
    assert service.held(drill) == {}, "they are removed"
