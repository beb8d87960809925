"""A Redis as one look finds it: every server that is known, and every sentinel.

What a server says is true now; what a sentinel says is as old as its last round, up to a second or, of who leads, ten.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.redis import sentinels
from chaosdrills.redis.client import FINAL_CODES, ServerError, Session
from chaosdrills.redis.finding import NO_SERVER, REMEDIES, Client, address_of, by_port
from chaosdrills.redis.info import fields_of
from chaosdrills.redis.sentinels import Sentinel

ASK_S = 2.0
PRIMARY, REPLICA = "primary", "replica"
ROLES = {"master": PRIMARY, "slave": REPLICA}


@dataclass(frozen=True)
class Replica:
    """A replica as its primary sees it: how many bytes it is behind, and how many seconds ago it last said so."""

    address: str
    state: str
    lag_bytes: int
    lag_s: int

    @property
    def in_step(self) -> bool:
        """Whether it is sent what is written."""
        return self.state == "online"


@dataclass(frozen=True)
class Server:
    """One server. `why` says why it does not answer, empty if it does; what follows is then of no meaning.

    `history` is what it calls the writes that it has, and `offset` how many bytes of them; who has another history
    follows somebody else. `follows` is whom a replica follows, and `linked` whether that is connected. `run_id` tells
    servers apart: two addresses may lead to the same one. `info` is all that it says of itself.
    """

    address: str
    why: str = ""
    role: str = ""
    run_id: str = ""
    history: str = ""
    offset: int = 0
    follows: str = ""
    linked: bool = False
    replicas: tuple[Replica, ...] = ()
    info: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def says(self, name: str) -> str:
        """What it says of itself by this name. Raises `UnavailableError` if it does not."""
        if name not in self.info:
            raise UnavailableError(f"{self.address} does not say its {name}.", "ask a newer Redis, or another probe.")
        return self.info[name]


@dataclass(frozen=True)
class Overview:
    """All servers by their addresses, and all sentinels in the URL's order (none where it names servers)."""

    servers: tuple[Server, ...]
    sentinels: tuple[Sentinel, ...] = ()

    @property
    def primaries(self) -> list[Server]:
        """Those that take writes, each once: one, if all is well."""
        return list({it.run_id: it for it in reversed(self.servers) if it.role == PRIMARY}.values())[::-1]

    @property
    def replicas(self) -> list[Server]:
        """Those that follow the one primary in step; none where there is no such one."""
        primaries = self.primaries
        return [it for it in self.servers if len(primaries) == 1 and not _behind(it, primaries[0])]

    @property
    def seeing(self) -> list[Sentinel]:
        """The sentinels that answer."""
        return [it for it in self.sentinels if not it.why]

    @property
    def epoch(self) -> int:
        """That of the newest configuration that a sentinel knows; 0 without one."""
        return max((it.epoch for it in self.seeing), default=0)

    def lacks(self) -> str:
        """What keeps it from being whole, in words: one leads, all others follow it, and all sentinels agree."""
        return "; ".join(part for part in (*self._servers_lack(), *self._sentinels_lack()) if part)

    def _servers_lack(self) -> Iterable[str]:
        yield from (f"{it.address} {it.why}" for it in self.servers if it.why)
        primaries = self.primaries
        if len(primaries) > 1:
            yield f"two primaries at once: {', '.join(it.address for it in primaries)}"
        elif not primaries:
            yield "no server takes writes"
        else:
            yield from (_behind(it, primaries[0]) for it in self.servers if it.role == REPLICA)
            yield from (f"the replica {it.address} is {it.state}" for it in primaries[0].replicas if not it.in_step)

    def _sentinels_lack(self) -> Iterable[str]:
        yield from (f"{it.address} (sentinel) {it.why}" for it in self.sentinels if it.why)
        leads = self.primaries[0].address if len(self.primaries) == 1 else ""
        for one in self.seeing:
            if leads and one.leader != leads:
                yield f"the sentinel {one.address} says that {one.leader} leads, not {leads}"
            if one.others < len(self.sentinels) - 1:
                yield f"the sentinel {one.address} knows {one.others} others, not {len(self.sentinels) - 1}"
            if one.lacks_quorum:
                yield f"the sentinel {one.address} sees no quorum: {one.lacks_quorum}"
            if one.down:
                yield f"the sentinel {one.address} takes {', '.join(one.down)} for down"


def look(client: Client) -> Overview:
    """Ask every sentinel and every server. Raises `UsageError` if one does not accept who we are, or cannot be used."""
    told = sentinels.look(client)
    known = {address for it in told if not it.why for address in (it.leader, *it.replicas)}
    addresses = sorted(known, key=by_port) if told else list(client.url.hosts)
    return Overview(tuple(_server(client, address) for address in addresses), told)


def require_one_primary(client: Client) -> None:
    """Raise `UnavailableError` if two servers take writes at once: what one acknowledges the other does not have."""
    primaries = look(client).primaries
    if len(primaries) > 1:
        raise UnavailableError(
            f"two primaries at once: {', '.join(it.address for it in primaries)}.",
            "wait until the old one is demoted, name no server of another Redis in REDIS_URL, or mend the split brain.",
        )


def _server(client: Client, address: str) -> Server:
    session = client.reach(address)
    if isinstance(session, str):
        return Server(address, session)
    try:
        return parsed(address, info_of(session))
    except (KeyError, ValueError) as error:
        return Server(address, f"does not say of itself what a Redis does ({error})")
    except ServerError as error:
        if error.code in FINAL_CODES:
            raise UsageError(error.message, error.hint) from error
        return Server(address, error.message.rstrip("."))
    finally:
        session.close()


def info_of(session: Session) -> dict[str, str]:
    """What a server says of itself. Raises `ServerError`."""
    return fields_of(session.do("INFO", timeout_s=ASK_S))


def parsed(address: str, info: Mapping[str, str]) -> Server:
    """A server by what it says of itself. Raises `UsageError` for one that is none, or is of a cluster."""
    mode = info.get("redis_mode") or info.get("server_mode")
    if mode == "sentinel":
        raise UsageError(f"{address} {NO_SERVER}, and {REMEDIES[NO_SERVER][0]}.", REMEDIES[NO_SERVER][1])
    require_no_cluster(address, info.get("cluster_enabled") == "1")
    if info.get("loading", "0") != "0":
        return Server(address, "is loading its data from disk")
    found = Server(
        address, role=ROLES[info["role"]], run_id=info["run_id"], history=info["master_replid"],
        offset=int(info["master_repl_offset"]), info=info,
    )  # fmt: skip
    if found.role == REPLICA:
        follows = address_of(info["master_host"], info["master_port"])
        linked = info["master_link_status"] == "up"
        return replace(found, offset=int(info["slave_repl_offset"]), follows=follows, linked=linked)
    told = [text for name, text in info.items() if name.startswith("slave") and name.removeprefix("slave").isdigit()]
    return replace(found, replicas=tuple(_replica(text, found.offset) for text in told))


def require_no_cluster(address: str, cluster: bool) -> None:
    """Raise `UsageError` for a node of a Redis Cluster, which has only some of the keys."""
    if cluster:
        raise UsageError(
            f"{address} is a node of a Redis Cluster, which is not supported: drills are on one primary, with replicas "
            "and Sentinel or without.",
            "name a Redis that is no cluster in REDIS_URL.",
        )


def _replica(text: str, offset: int) -> Replica:
    """What stands after ``slave0:``."""
    told = dict(pair.split("=", 1) for pair in text.split(","))
    address = address_of(told["ip"], told["port"])
    return Replica(address, told["state"], max(0, offset - int(told["offset"])), int(told["lag"]))


def _behind(server: Server, primary: Server) -> str:
    """Why a server does not follow the primary in step; empty if it does."""
    if server.why or server.role != REPLICA:
        return f"{server.address} is no replica that answers"
    if not server.linked:
        return f"{server.address} has no link to {server.follows}, whom it follows"
    return "" if server.history == primary.history else f"{server.address} follows {server.follows}, who is not it"
