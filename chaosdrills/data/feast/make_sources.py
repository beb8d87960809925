"""Makes the sources of the lab's repository, in the folder where it is run: `feast apply` wants to see them.

Ten drivers, from 1001 on, with an event time of 2026-01-01; the drills' rows begin with none.
"""

from datetime import UTC, datetime

import pandas

AT = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    numbers = range(10)
    drivers = {
        "driver_id": [1001 + number for number in numbers],
        "rating": [4 + number / 10 for number in numbers],
        "trips": [100 + number for number in numbers],
    }
    rows = {"drill_row": ["none"], "seq": [0], "payload": [""], "checksum": [0]}
    for name, columns in (("drivers", drivers), ("rows", rows)):
        frame = pandas.DataFrame({**columns, "event_time": pandas.Timestamp(AT)})
        frame.astype({"rating": "float32"} if "rating" in columns else {}).to_parquet(f"{name}.parquet")


main()
