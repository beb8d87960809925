"""The small repository of the lab: two entities, two views. `feast apply` runs this; nothing here does."""

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float32, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
driver_stats = FeatureView(
    name="driver_stats",
    entities=[driver],
    schema=[Field(name="rating", dtype=Float32), Field(name="trips", dtype=Int64)],
    source=FileSource(path="drivers.parquet", timestamp_field="event_time"),
)

drill_row = Entity(name="drill_row", join_keys=["drill_row"], value_type=ValueType.STRING)
drill_rows = FeatureView(
    name="drill_rows",
    entities=[drill_row],
    schema=[Field(name="seq", dtype=Int64), Field(name="payload", dtype=String), Field(name="checksum", dtype=Int64)],
    source=FileSource(path="rows.parquet", timestamp_field="event_time"),
)
