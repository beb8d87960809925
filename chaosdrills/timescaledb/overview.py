"""A cluster as one look finds it: every server of the DSN, what the primary says of its standbys, and Patroni's word.

What SQL says is true now; what Patroni says is as old as its last round.
"""

from dataclasses import dataclass, field, replace

from chaosdrills.errors import DrillError, UnavailableError, UsageError
from chaosdrills.timescaledb.client import ServerError, Session
from chaosdrills.timescaledb.dsn import Host
from chaosdrills.timescaledb.finding import ANY, Client, is_standby
from chaosdrills.timescaledb.ledger import timeline_of

ASK_S = 3.0
IN_STEP = ("sync", "quorum")
STANDBYS = """
    SELECT application_name, state, sync_state,
           coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), -1)::bigint,
           coalesce(extract(epoch FROM replay_lag), 0)
    FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup'"""
IDENTITY = "SELECT inet_server_addr(), inet_server_port(), pg_postmaster_start_time()"
FOLLOWING = """
    SELECT coalesce(max(status), ''), coalesce(max(received_tli), 0),
           coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), -1)
    FROM pg_stat_wal_receiver"""


@dataclass(frozen=True)
class Server:
    """One server. `why` says why it does not answer, empty if it does; what follows is then of no meaning.

    `timeline` is that which it writes or receives, 0 if it does not say or receives none. `replayed_s` is how long ago
    the last transaction that it replayed was committed, -1 for a primary and where there was none. `identity` tells
    servers apart: two addresses, of proxies or of a name, may lead to the same one.
    """

    address: str
    why: str = ""
    standby: bool = False
    timeline: int = 0
    streaming: bool = False
    replayed_s: float = -1.0
    identity: str = ""


@dataclass(frozen=True)
class Standby:
    """A standby as the primary sees it; how far behind it is in replaying, in bytes and seconds."""

    name: str
    state: str
    sync_state: str
    lag_bytes: int
    lag_s: float


@dataclass(frozen=True)
class Overview:
    """All servers in the DSN's order, and what the primary says (nothing without one)."""

    servers: tuple[Server, ...]
    standbys: tuple[Standby, ...] = ()
    waits: bool = False  # commits wait for standbys that are named
    slots: dict[str, bool] = field(default_factory=dict)

    @property
    def primaries(self) -> list[Server]:
        """Those that take writes, each once: one, if all is well."""
        return list({it.identity: it for it in reversed(self.servers) if not it.why and not it.standby}.values())[::-1]

    @property
    def synchronous(self) -> list[Standby]:
        """The standbys that commits wait for."""
        return [it for it in self.standbys if it.sync_state in IN_STEP and it.state == "streaming"]

    def lacks(self, synchronous: bool) -> str:
        """What keeps the cluster from being whole, in words; `synchronous` if it is to have a synchronous standby."""
        silent = [it for it in self.servers if it.why]
        parts = [f"{it.address} {it.why}" for it in silent]
        primaries = self.primaries
        if len(primaries) > 1:
            parts.append(f"two primaries at once: {', '.join(it.address for it in primaries)}")
        if not primaries:
            return "; ".join([*parts, "no server takes writes"])
        for one in self.servers:
            if one.why or not one.standby:
                continue
            if not one.streaming:
                parts.append(f"{one.address} does not stream")
            elif one.timeline not in (0, primaries[0].timeline):
                parts.append(f"{one.address} is on timeline {one.timeline}, not {primaries[0].timeline}")
        if synchronous and not self.synchronous:
            parts.append("no synchronous standby")
        return "; ".join(parts)


def look(client: Client, standbys: bool = True) -> Overview:
    """Ask every server, and the primary for its `standbys`, unless nobody needs them.

    Raises `UsageError` if one does not accept who we are, or tells us too little.
    """
    servers, found = [], Overview(())
    for alone in client.each():
        (host,) = alone.dsn.hosts
        try:
            session = alone.find(ANY, ASK_S)
        except UsageError:
            raise
        except DrillError as error:
            servers.append(Server(host.label, _reason(error, host)))
            continue
        try:
            server = _server(session, host.label)
            if standbys and not server.standby:
                found = _told(session)
        except ServerError as error:
            server = Server(host.label, error.message.rstrip("."))
        finally:
            session.close()
        servers.append(server)
    return replace(found, servers=tuple(servers))


def require_one_primary(client: Client) -> None:
    """Raise `UnavailableError` if two servers take writes at once: what one acknowledges the other does not have."""
    primaries = look(client, standbys=False).primaries
    if len(primaries) > 1:
        raise UnavailableError(
            f"two primaries at once: {', '.join(it.address for it in primaries)}.",
            "see which of them is of this cluster, and name no other in the DSN; or mend the split brain.",
        )


def _server(session: Session, address: str) -> Server:
    identity = "/".join(str(it) for it in session.query(IDENTITY, ASK_S)[0])
    if not is_standby(session):
        return Server(address, timeline=timeline_of(session), identity=identity)
    status, timeline, replayed_s = session.query(FOLLOWING, ASK_S)[0]
    streaming, ago_s = status == "streaming", round(float(replayed_s or -1), 3)
    return Server(address, "", True, int(timeline or 0), streaming, ago_s, identity)


def _told(session: Session) -> Overview:
    """What a primary says of its standbys."""
    standbys = []
    for name, state, sync_state, lag_bytes, lag_s in session.query(STANDBYS, ASK_S):
        if state is None:
            user = session.query("SELECT quote_ident(current_user)", ASK_S)[0][0]
            raise UsageError(
                f"the user {user} may not see the state of standbys.",
                f"have a superuser run: GRANT pg_monitor TO {user};",
            )
        standbys.append(Standby(name or "", state, sync_state or "", int(lag_bytes or 0), float(lag_s or 0)))
    names = session.query("SHOW synchronous_standby_names", ASK_S)[0][0]
    slots = session.query("SELECT slot_name, active FROM pg_replication_slots", ASK_S)
    return Overview((), tuple(standbys), bool(names), {str(name): active == "t" for name, active in slots})


def _reason(error: DrillError, host: Host) -> str:
    """Why a server was not found, without what is known already."""
    return error.message.rpartition(f"{host.label} ")[2].rstrip(".")
