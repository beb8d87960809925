"""A process that injects one fault and then waits to be killed, as `chaos` may be in the middle of a drill."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from chaosdrills.faults.fault import Target
from chaosdrills.faults.heal_log import outstanding

CODE = """
import json, sys
from chaosdrills.faults.fault import Target
from chaosdrills.faults.injection import inject
from chaosdrills.faults.registry import find
from chaosdrills.faults import marking
name, target = json.loads(sys.argv[1])
marking.set_marker(None, "another drill")
print(inject(find(name), [Target(**target)]), flush=True)
sys.stdin.read()
"""


@contextmanager
def injecting_process(fault: str, target: Target) -> Iterator["subprocess.Popen[str]"]:
    """A living process of which `fault` on `target` is outstanding; killed at the end."""
    argv = [sys.executable, "-c", CODE, json.dumps([fault, asdict(target)])]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "the injector ended before it had injected"
            assert [entry.owner.pid for entry in outstanding()[0]] == [process.pid]
            yield process
        finally:
            process.kill()


def die_in_mid_fault(fault: str, target: Target) -> None:
    """Inject `fault` on `target` from a process that is then killed with SIGKILL."""
    with injecting_process(fault, target):
        pass
