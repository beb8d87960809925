"""Runs an experiment as `chaos run` does and prints its journal; and the activities of the control's tests."""

import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.types import Dry

from chaosdrills.host import nodes


def look(configuration: dict[str, Any]) -> dict[str, Any]:
    """What an activity sees of the lab: the endpoint it is configured with, and the cluster written down."""
    cluster = nodes.load("kafka")
    return {
        "configured": configuration["kafka_bootstrap_servers"],
        "lab": cluster.endpoint if cluster else None,
        "alive": [node.alive for node in cluster.nodes] if cluster else [],
        "owned": cluster is not None and cluster.owner is not None,
    }


def wait() -> None:
    """Wait to be killed."""
    signal.pause()


def main(path: str) -> None:
    """Run the experiment in `path`; its journal goes to standard output, the log to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    experiment = json.loads(Path(path).read_text())
    ensure_experiment_is_valid(experiment)
    if "dry" in experiment:
        experiment["dry"] = Dry(experiment["dry"])
    journal = run_experiment(experiment)
    journal.pop("experiment")
    json.dump(journal, sys.stdout, default=str)


if __name__ == "__main__":
    main(sys.argv[1])
