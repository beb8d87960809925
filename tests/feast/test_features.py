"""The features workload on real servers: registers as rows of a Feast view."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from chaosdrills.core.history import NO_SEQ, Outcome, by_stream
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.feast.layout import fields_of, row_key, time_field
from chaosdrills.feast.rows import FEATURES, Rows, View
from chaosdrills.feast.wire import INT64, STRING, Value
from chaosdrills.feast.workload import SERVED, FeaturesWorkload
from chaosdrills.host.processes import wait_until
from chaosdrills.lab.redis_access import DRILLS
from chaosdrills.observe.payload import Seal, filler
from tests.feast.conftest import StartDrill
from tests.observe.observed import Observed
from tests.observe.register_conformance import RegisterConformance, figures
from tests.redis.servers import Start, program
from tests.redis.test_workload import at_primary

pytestmark = pytest.mark.lab


class OnTheLab:
    """The rows of the lab's Redis, by redis-py."""

    def __init__(self, url: str, start: StartDrill) -> None:
        self.url, self._start = url, start
        where = at_primary(url).connection_pool.connection_kwargs
        self.client = redis.Redis(where["host"], where["port"])

    def start(self, **arguments: Any) -> Observed:
        return self._start(self.url, connections=arguments.pop("lanes"), **arguments)

    def held(self, load: Observed) -> dict[int, int]:
        rows = Rows(load.drill_id, View())
        found = {rows.place_of(key): key for key in self.client.scan_iter(match="*drill_row*")}
        asked = rows.asked(0)[2:]
        return {
            place[0]: rows.seq_in(place[0], self.client.hmget(key, list(asked)))
            for place, key in found.items()
            if place is not None
        }

    def remove(self, load: Observed, register: int) -> None:
        assert self.client.delete(self.key(load, register)) == 1

    def set_back(self, load: Observed, register: int, seq: int) -> None:
        checksum = Seal(load.drill_id, register, filler(100)).of(b"%d" % seq)
        values = (Value(INT64, seq), Value(STRING, filler(100)), Value(INT64, int(checksum)))
        fields = fields_of("drill_rows", dict(zip(FEATURES, values, strict=True)), time.time_ns())
        self.client.hset(self.key(load, register), mapping=fields)  # type: ignore[arg-type]

    def cut(self, load: Observed) -> None:
        writers = [
            it["id"] for it in self.client.client_list()
            if it["name"] == f"chaosdrills-{load.drill_id}" and it["cmd"] == "hset"
        ]  # fmt: skip
        assert len(writers) == 4
        for each in writers:
            self.client.client_kill_filter(_id=each)

    def key(self, load: Observed, register: int) -> bytes:
        entity = Value(STRING, f"chaosdrills:{load.drill_id}:{register:010}")
        return row_key("chaosdrills", {"drill_row": entity})


@pytest.fixture
def service(url: str, start_drill: StartDrill) -> OnTheLab:
    return OnTheLab(url, start_drill)


class TestRegisters(RegisterConformance):
    """The suite, on Feast's layout."""


def test_what_is_recorded(service: OnTheLab) -> None:
    drill = service.start(lanes=2, rate_per_s=100)
    drill.wait_acked(200)
    result = drill.finish()
    facts, findings = drill.history.header, result["findings"]
    assert (facts["project"], facts["view"], facts["entity"]) == ("chaosdrills", "drill_rows", "drill_row")
    assert findings["unserved"] == 0
    assert 0 < findings["event_age_s_median"] < 2
    assert findings["event_age_s_median"] <= findings["event_age_s_max"] < 10
    (served,) = [check for check in result["checks"] if check["name"] == SERVED]
    assert served["ok"]
    assert re.fullmatch(
        r"event times were [\d.]+ s old in the median, [\d.]+ s at most; 0 reads found .*", served["detail"]
    )
    assert service.held(drill) == {}, "they are removed"


def test_a_row_that_is_gone_is_not_read(service: OnTheLab) -> None:
    drill = service.start(lanes=1, retire_s=3600.0, reads_per_s=100, rate_per_s=1, keep_keys=True)
    assert wait_until(lambda: service.held(drill) == {0: 0}, 10)
    service.remove(drill, 0)
    assert wait_until(lambda: (drill.history.reads.outcome == Outcome.FAILED).sum() > 10, 10), drill.log
    drill.finish()
    assert "row 0 is not served: its values or its event time are not there" in drill.log


def test_a_row_without_its_event_time_is_not_read_and_does_not_survive(service: OnTheLab) -> None:
    drill = service.start(lanes=1, retire_s=1.0, reads_per_s=100, rate_per_s=20)
    assert wait_until(lambda: len(service.held(drill)) >= 4, 20)
    before = max(service.held(drill)) - 1  # nobody writes to it any more, and it is still read
    for register in (0, before):
        assert service.client.hdel(service.key(drill, register), time_field("drill_rows")) == 1
    drill.wait_acked(10)
    result = drill.finish()
    written, finals = by_stream(drill.history.writes), drill.history.finals
    assert [finals[register].seqs.tolist() for register in (0, before)] == [[NO_SEQ], [NO_SEQ]]
    assert figures(drill.history)["lost"] == len(written[0]) + len(written[before])
    assert result["findings"]["damaged"] == 2
    assert result["findings"]["unserved"] > 0


def test_rows_of_others_are_left_alone(service: OnTheLab) -> None:
    others = row_key("chaosdrills", {"drill_row": Value(STRING, "chaosdrills:another:0000000000")})
    service.client.hset(others, b"_ts:drill_rows", b"")
    drill = service.start(lanes=1)
    drill.wait_acked(50)
    result = drill.finish()
    assert service.client.delete(others) == 1
    assert result["findings"]["foreign"] == 0


def test_the_key_of_a_row_is_nobody_elses() -> None:
    rows = Rows("abc", View())
    assert rows.place_of(rows.key(7)) == (7, NO_SEQ)
    assert rows.key(7).startswith(rows.prefix)
    assert rows.key(4_000_000_000).startswith(rows.prefix)
    for entity in ("chaosdrills:abc:7", "chaosdrills:abd:0000000007", "chaosdrills:abc:00000000x7"):
        assert rows.place_of(row_key("chaosdrills", {"drill_row": Value(STRING, entity)})) is None
    assert rows.place_of(row_key("shop", {"drill_row": Value(STRING, "chaosdrills:abc:0000000007")})) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kind": "ledger"}, "the features workload has no argument 'kind'"),
        ({"old_connections": 1}, "the features workload has no argument 'old_connections'"),
        ({"view": 1}, "view is not a text"),
        ({"reads_per_s": 0}, "reads_per_s is 0"),
    ],
)
def test_arguments_that_cannot_be(given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        FeaturesWorkload("0", {"url": "redis://localhost", **given})
    with pytest.raises(UsageError, match=why):
        FeaturesWorkload.check({"url": "${redis_url}", **given})


def test_a_repository_is_read_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"")
    (tmp_path / "feature_store.yaml").write_text(
        "project: shop\nregistry: registry.db\nonline_store:\n  type: redis\n  connection_string: r:6379\n"
    )
    given = {"url": "redis://r:6379", "repository": str(tmp_path)}
    assert FeaturesWorkload("0", given).layout().described.startswith("the rows of project shop whose drill_row ")
    with pytest.raises(UsageError, match=r"the online store of the repository .* is at r:6379, and the drill's Redis"):
        FeaturesWorkload("0", {**given, "url": "redis://elsewhere:6379"})
    with pytest.raises(UsageError, match="the project is 'another', and that of the repository"):
        FeaturesWorkload("0", {**given, "project": "another"})
    (tmp_path / "registry.db").unlink()
    with pytest.raises(UsageError, match="there is no registry at"):
        FeaturesWorkload("0", given)


def test_a_redis_that_is_not_there() -> None:
    with pytest.raises(UnavailableError, match="no Redis server takes writes"):
        FeaturesWorkload("0", {"url": "redis://127.0.0.1:1"}).open(1)


def test_the_rights_that_a_drill_needs(start: Start, start_drill: StartDrill) -> None:
    rights = DRILLS.replace("~chaosdrills:*", "~*chaosdrills:*")
    server = start(f"user drill on >word {rights}", "user default off")
    drill = start_drill(f"redis://drill:word@{server.address}", connections=2, keep_keys=False)
    drill.wait_acked(100)
    result = drill.finish()
    assert [check["name"] for check in result["checks"] if not check["ok"]] == []
    assert len(drill.history.finals) == len(drill.history.streams) > 0


def test_a_redis_of_the_second_flavour(start: Start, start_drill: StartDrill) -> None:
    if program("redis7") is None:
        pytest.skip("there is no redis-check-rdb here")
    server = start(flavour="redis7")
    drill = start_drill(f"redis://{server.address}", connections=2)
    drill.wait_acked(100)
    drill.finish()
    assert figures(drill.history)["lost"] == 0
    assert drill.history.header["server"].startswith("redis 7")


def test_a_user_without_a_right_to_the_rows_is_told_what_it_lacks(start: Start) -> None:
    server = start(f"user drill on >word {DRILLS}", "user default off")
    with pytest.raises(UsageError, match=r"has no right to keys \*chaosdrills:\*") as raised:
        FeaturesWorkload("0", {"url": f"redis://drill:word@{server.address}"}).open(5)
    assert raised.value.hint.endswith("ACL SETUSER drill ~*chaosdrills:*")
