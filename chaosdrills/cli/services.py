"""The services that commands can be told of, known here without importing what knows them."""

SERVICES = ("kafka", "timescaledb", "redis")
