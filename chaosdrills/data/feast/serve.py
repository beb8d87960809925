"""Serves the repository in the folder where it is run, as `feast serve` does: the lab's feature server.

The first time it materialises the sources. Arguments: the port.
"""

import sys
from datetime import UTC, datetime, timedelta

from feast import FeatureStore

AT = datetime(2026, 1, 1, tzinfo=UTC)


def main(port: int) -> None:
    store = FeatureStore(repo_path=".")
    if not store.get_feature_view("driver_stats").materialization_intervals:
        store.materialize(AT - timedelta(days=1), AT + timedelta(days=1), feature_views=["driver_stats"])
    store.serve(host="127.0.0.1", port=port, type_="http", no_access_log=True, workers=1, metrics=False)


main(int(sys.argv[1]))
