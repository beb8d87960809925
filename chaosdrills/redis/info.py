"""INFO of a server, as a look at it finds it. Pure.

`INFO all` answers lines ``name:value`` under ``# Section``; counters are since the server's start, told by `run_id`.
"""

from dataclasses import dataclass

FLUSHES = ("flushall", "flushdb")


@dataclass(frozen=True)
class Info:
    """What counts of a server: who it is, whether it leads, what keeps keys and what has removed some."""

    run_id: str = ""
    version: str = ""
    flavour: str = ""
    leads: bool = False
    cluster: bool = False
    loading: bool = False
    replicas: int = 0
    replication_id: str = ""
    offset: int = 0
    evicted: int = 0
    expired: int = 0
    flushed: int = 0
    maxmemory: int = 0
    policy: str = "noeviction"
    aof: bool = False
    expiring: int = 0

    @property
    def may_evict(self) -> bool:
        """Whether keys that do not expire can be evicted."""
        return self.maxmemory > 0 and self.policy.startswith("allkeys")


def fields_of(text: bytes) -> dict[str, str]:
    """INFO's fields by name."""
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, separator, value in lines if separator}


def info_of(text: bytes, db: int = 0) -> Info:
    """A server as its INFO tells it; `db` is the database of the drill."""
    found = fields_of(text)
    valkey = found.get("valkey_version", "")
    return Info(
        run_id=found.get("run_id", ""),
        version=valkey or found.get("redis_version", ""),
        flavour="valkey" if valkey else "redis",
        leads=found.get("role") == "master",
        cluster=found.get("cluster_enabled") == "1",
        loading=found.get("loading") == "1",
        replicas=_number(found.get("connected_slaves")),
        replication_id=found.get("master_replid", ""),
        offset=_number(found.get("master_repl_offset")),
        evicted=_number(found.get("evicted_keys")),
        expired=_number(found.get("expired_keys")),
        flushed=sum(_calls(found.get(f"cmdstat_{it}", "")) for it in FLUSHES),
        maxmemory=_number(found.get("maxmemory")),
        policy=found.get("maxmemory_policy", "noeviction"),
        aof=found.get("aof_enabled") == "1",
        expiring=_number(_part(found.get(f"db{db}", ""), "expires")),
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.lstrip("-").isdecimal() else 0


def _calls(text: str) -> int:
    return _number(_part(text, "calls"))


def _part(text: str, name: str) -> str:
    """One of the values of ``name=value,name=value``."""
    return dict(part.partition("=")[::2] for part in text.split(",")).get(name, "")
