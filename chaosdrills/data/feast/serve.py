"""Serves the repository in the folder where it is run, as `feast serve` does: the lab's feature server.

The first time it materialises the sources. Its worker ends with it, however it ends: nobody else would serve at its
port. Arguments: the port.
"""

import ctypes
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta

import redis
from feast import FeatureStore

AT = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_S = 30.0
PR_SET_PDEATHSIG = 1


def materialise(store: FeatureStore) -> None:
    """Once; the store is waited for: it starts at the same time."""
    deadline = time.monotonic() + PATIENCE_S
    while not store.get_feature_view("driver_stats").materialization_intervals:
        try:
            store.materialize(AT - timedelta(days=1), AT + timedelta(days=1), feature_views=["driver_stats"])
        except redis.exceptions.RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main(port: int) -> None:
    libc = ctypes.CDLL(None)
    os.register_at_fork(after_in_child=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    store = FeatureStore(repo_path=".")
    materialise(store)
    store.serve(host="127.0.0.1", port=port, type_="http", no_access_log=True, workers=1, metrics=False)


main(int(sys.argv[1]))
