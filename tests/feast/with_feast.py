"""Run with Feast's own Python, in a repository's folder: writes rows as Feast does, and reads them as its users do.

``write``: applies a view of every scalar type and a view of two entities, and writes a row of each. ``read``: prints
what `get_online_features` says of the entities and features in the JSON object on standard input.
"""

import json
import sys
from datetime import UTC, datetime

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp

AT = datetime(2027, 1, 15, 8, 0, 0, 250_000, tzinfo=UTC)
TYPES = {
    "a_bool": (Bool, True),
    "a_bytes": (Bytes, b"\x00\x01\xff"),
    "a_float": (Float32, -2.25),
    "a_double": (Float64, 1.5),
    "an_int32": (Int32, -7),
    "an_int64": (Int64, 1 << 40),
    "a_string": (String, "é"),
    "an_instant": (UnixTimestamp, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    "nothing": (String, None),
}


def source(name: str, columns: dict[str, object]) -> FileSource:
    pandas.DataFrame({**{key: [value] for key, value in columns.items()}, "at": [AT]}).to_parquet(f"{name}.parquet")
    return FileSource(path=f"{name}.parquet", timestamp_field="at")


def write(store: FeatureStore) -> None:
    row = Entity(name="row", join_keys=["row"], value_type=ValueType.STRING)
    city = Entity(name="city", join_keys=["city"], value_type=ValueType.INT64)
    values = {name: value for name, (_, value) in TYPES.items()}
    scalars, pairs = {"row": "rów", **values}, {"row": "r", "city": -2, "count": 3}
    schema = [Field(name=name, dtype=kind) for name, (kind, _) in TYPES.items()]
    count = [Field(name="count", dtype=Int64)]
    views = [
        FeatureView(name="scalars", entities=[row], schema=schema, source=source("scalars", scalars)),
        FeatureView(name="pairs", entities=[row, city], schema=count, source=source("pairs", pairs)),
    ]
    store.apply([row, city, *views])
    for view, columns in (("scalars", scalars), ("pairs", pairs)):
        frame = pandas.DataFrame({**{key: [value] for key, value in columns.items()}, "at": [AT]})
        store.write_to_online_store(view, frame)


def read(store: FeatureStore) -> None:
    asked = json.load(sys.stdin)
    answer = store.get_online_features(asked["features"], asked["rows"]).proto
    names = answer.metadata.feature_names.val
    found = {
        name: {"value": repr(getattr(value, value.WhichOneof("val"))) if value.WhichOneof("val") else None,
         "kind": value.WhichOneof("val"), "at_ns": at.ToNanoseconds(), "status": status}
        for name, vector in zip(names, answer.results, strict=True)
        for value, at, status in zip(vector.values, vector.event_timestamps, vector.statuses, strict=True)
    }  # fmt: skip
    sys.stdout.write(json.dumps(found) + "\n")


{"write": write, "read": read}[sys.argv[1]](FeatureStore(repo_path="."))
