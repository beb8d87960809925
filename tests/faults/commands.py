"""What a user's own commands do to one node of a lab: ``python -m tests.faults.commands SERVICE DEED ID``.

Deeds: kill, stop, pause, start (and wait until it accepts connections, or let it go on), check. Exit status 3: there
was nothing to do.
"""

import signal
import sys

from chaosdrills.host import nodes
from chaosdrills.host.processes import send_signal, thread_states, wait_gone, wait_until
from chaosdrills.host.sockets import accepts

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGTERM, "pause": signal.SIGSTOP}


def main(service: str, deed: str, node_id: str) -> int:
    cluster = nodes.load(service)
    assert cluster is not None, f"there is no {service} lab"
    node = cluster.node(int(node_id))
    assert node.process is not None
    if deed in SIGNALS:
        if not send_signal(node.process, SIGNALS[deed]):
            sys.stdout.write(f"node {node_id} does not run\n")
            return 3
        if deed != "pause":
            assert wait_gone([node.process], 60) == []
        sys.stdout.write(f"{deed} of node {node_id} done\n")
        return 0
    if deed == "start":
        if not nodes.start_node(service, int(node_id)):
            send_signal(node.process, signal.SIGCONT)
        assert wait_until(lambda: accepts(node.endpoint), 60), f"node {node_id} does not accept connections"
        return 0
    assert deed == "check", f"there is no deed {deed}"
    return 0 if node.alive and "T" not in thread_states(node.process) and accepts(node.endpoint) else 1


def argvs(service: str, deed: str, node: str = "{broker}") -> dict[str, list[str]]:
    """`inject`, `heal` and `check` of a node."""
    steps = {"inject": deed, "heal": "start", "check": "check"}
    return {step: [sys.executable, "-m", "tests.faults.commands", service, does, node] for step, does in steps.items()}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
