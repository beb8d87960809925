"""What every fault must do. A fault's test module derives a class and gives it three fixtures.

`fault`: the fault. `target`: what to hit, running. `served`: a client's view, whether the target serves it.
`hit_again` is what an error says where something is hit that was hit before.
"""

import json
from dataclasses import asdict

import pytest

from chaosdrills.errors import DrillError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.faults.registry import find
from tests.faults.injector import die_in_mid_fault


class FaultConformance:
    hit_again = "nothing was hit"

    def test_is_found_by_its_name(self, fault):
        assert type(find(fault.name)) is type(fault)

    def test_describes_what_it_hits(self, fault, target):
        assert target.label in fault.describe(target)

    def test_check_and_needs_heal_change_nothing(self, fault, target, served):
        fault.check(target)
        assert not fault.needs_heal(target)
        assert not fault.heal(target)
        assert served()

    def test_is_seen_by_a_client(self, fault, target, served):
        fault.inject(target)
        assert not served()
        assert fault.needs_heal(target)

    def test_hitting_nothing_is_an_error(self, fault, target):
        fault.inject(target)
        with pytest.raises(DrillError, match="nothing was hit"):
            fault.check(target)
        with pytest.raises(DrillError, match=self.hit_again):
            fault.inject(target)

    def test_heals(self, fault, target, served):
        fault.inject(target)
        assert fault.heal(target)
        fault.wait_healed(target, 60)
        assert served()
        assert not fault.needs_heal(target)

    def test_heals_twice(self, fault, target, served):
        fault.inject(target)
        assert fault.heal(target)
        assert not fault.heal(target)
        fault.wait_healed(target, 60)
        assert not fault.heal(target)
        assert served()

    def test_heals_from_what_was_written_down(self, fault, target, served):
        fault.inject(target)
        restored = Target(**json.loads(json.dumps(asdict(target))))
        assert restored == target
        assert fault.heal(restored)
        fault.wait_healed(restored, 60)
        assert served()

    def test_is_in_the_heal_log_until_it_is_healed(self, fault, target, served):
        assert inject(fault, [target]) == fault.describe(target)
        assert [(entry.fault, entry.target) for entry in outstanding()[0]] == [(fault.name, target)]
        assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed"]
        assert outstanding() == ([], [])
        assert served()

    def test_is_healed_after_its_injector_was_killed(self, fault, target, served, tmp_path, monkeypatch):
        die_in_mid_fault(fault.name, target)
        assert not served()
        monkeypatch.chdir(tmp_path)
        assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed"]
        assert served()
        assert heal_outstanding().outcomes == []
