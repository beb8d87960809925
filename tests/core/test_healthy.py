"""Ten minutes of a healthy Kafka, recorded on the lab: noise must not read as an outage.

The record is real (`benchmarks/healthy_run.py` makes it). A fault that harms nothing is planted at many instants; each
time the judge must find no dip at all.
"""

import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from chaosdrills.core.history import NS, History, Mark, to_s
from chaosdrills.core.judge import Limits, judge
from chaosdrills.observe.reading import read_record

RECORD = Path(__file__).parents[1] / "data" / "healthy-kafka.record.xz"
EVERY_S = 5


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> History:
    path = tmp_path_factory.mktemp("healthy") / "record"
    path.write_bytes(lzma.decompress(RECORD.read_bytes()))
    return read_record(path)


def test_it_is_a_whole_healthy_run_of_ten_minutes(healthy: History) -> None:
    assert healthy.warnings == ()
    assert healthy.end_ns is not None
    assert to_s(healthy.marks_named("load_end")[0]) >= 600
    assert len(healthy.writes) >= 200 * 600
    assert sorted(healthy.finals) == list(range(6))


def test_a_harmless_fault_is_no_dip_wherever_it_is_planted(healthy: History) -> None:
    load_end_s = int(to_s(healthy.marks_named("load_end")[0]))
    dips = {}
    for at_s in range(15, load_end_s - 15, EVERY_S):
        planted = (Mark("fault_begin", at_s * NS, "harmless"), Mark("fault_end", at_s * NS + NS // 10, "harmless"))
        judgement = judge(replace(healthy, marks=(*healthy.marks, *planted)), Limits(600, 900, 0, fresh=True))
        found = judgement.as_dict()
        if (found["verdict"], found["rto_actual_s"], found["freshness_s"], found["lost"]) != ("met", 0, 0, 0):
            dips[at_s] = (judgement.overall, found["rto_actual_s"], found["freshness_s"], found["outages"])
    assert dips == {}
