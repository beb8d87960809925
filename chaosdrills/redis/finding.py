"""Finding the server that is wanted: the one that takes writes, one that only follows, or any.

Through Sentinel, it is asked first who leads; a server is asked for its own ROLE all the same: Sentinel may be behind.
Sentinels and servers are asked one after the other, those that answered last first, each for a short time only.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.redis.client import FINAL_CODES, ConnectionRefused, ServerError, Session
from chaosdrills.redis.url import SENTINEL, SINGLE, RedisUrl

PRIMARY, STANDBY, ANY = ROLES = ("primary", "standby", "any")
WISHES = {PRIMARY: "takes writes", STANDBY: "is a replica in step", ANY: "answers"}
CONNECT_TIMEOUT_S = 1.0
ASK_S = 1.0
AGAIN_S = 0.05
FOR_SENTINELS = dict.fromkeys(
    ("WRONGPASS", "NOAUTH"),
    "check sentinel_username and sentinel_password (secrets), or sentinel_passfile in REDIS_URL.",
)
OUT_OF_SERVICE = ("s_down", "o_down", "disconnected")

Stopped = Callable[[], bool]


@dataclass
class _Memory:
    """What is remembered of a Redis: the sentinel that answered last, and every server that was ever heard of."""

    sentinel: str = ""
    servers: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class Client:
    """How connections are made: the way, under which name, and how long one server may take."""

    url: RedisUrl
    application: str
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    memory: _Memory = field(default_factory=_Memory, repr=False, compare=False)

    def find(self, role: str, timeout_s: float, patient: bool = False, stopped: Stopped = lambda: False) -> Session:
        """A connection to a server of this role (of `ROLES`).

        Raises `UnavailableError`, saying what each said last, if there is none within `timeout_s` or it is `stopped`;
        `UsageError` at once if one does not accept who we are or Sentinel does not know the master, unless `patient`.
        """
        begun, said = time.monotonic(), {}
        while True:
            for address, why in self._candidates(role, patient):
                said[address] = why or self._attempt(address, role, patient)
                if isinstance(found := said[address], Session):
                    return found
                if stopped():
                    break
            tried_s = time.monotonic() - begun
            if tried_s >= timeout_s or stopped():
                told = "; ".join(f"{address} {why}" for address, why in said.items()) or "none is known"
                raise UnavailableError(
                    f"no Redis server {WISHES[role]}, {round(tried_s, 1):g} s long: {told}.",
                    "check the addresses in REDIS_URL, and that the servers run; 'chaos drills heal' starts nodes of "
                    "the lab that a drill has hit.",
                )
            time.sleep(AGAIN_S)

    def at(self, address: str, timeout_s: float | None = None) -> Session:
        """A connection to the server at `address`, whatever it is. Raises `ConnectionRefused`."""
        return Session(address, self.url.login(), self.application, timeout_s or self.connect_timeout_s)

    def only(self, address: str) -> "Client":
        """A client of the server at `address` alone, whoever leads."""
        return replace(self, url=replace(self.url, mode=SINGLE, hosts=(address,), name=""), memory=_Memory())

    def sentinel(self, address: str) -> Session:
        """A connection to the sentinel at `address`. Raises `ConnectionRefused`."""
        return Session(address, self.url.sentinel_login(), self.application, self.connect_timeout_s)

    def reach(self, address: str) -> Session | str:
        """A connection to the server at `address`, or why there is none. Raises `UsageError` if we are not let in."""
        return self._attempt(address, ANY, patient=False)

    def reach_sentinel(self, address: str) -> Session | str:
        """A connection to the sentinel at `address`, as `reach` has it."""
        try:
            return self.sentinel(address)
        except ConnectionRefused as error:
            self._require_hope(address, error, patient=False)
            return _refusal(error)

    def servers(self) -> list[str]:
        """The addresses of all servers that are known: those of the URL, or whom Sentinel has named so far."""
        if self.url.mode != SENTINEL:
            return list(self.url.hosts)
        for _ in self._candidates(ANY, patient=True):
            pass
        return sorted(self.memory.servers, key=by_port)

    def _candidates(self, role: str, patient: bool) -> Iterator[tuple[str, str]]:
        """Addresses to try, and why not, if that is known already."""
        if self.url.mode != SENTINEL:
            yield from ((address, "") for address in self.url.hosts)
            return
        for address in sorted(self.url.hosts, key=lambda it: it != self.memory.sentinel):
            try:
                found = self._told_by(address, role)
            except ConnectionRefused as error:
                self._require_hope(address, error, patient)
                yield address, f"(sentinel) {_refusal(error)}"
                continue
            except ServerError as error:
                if not patient:
                    require_sentinel(address, error)
                yield address, f"(sentinel): {error.message.rstrip('.')}"
                continue
            self.memory.sentinel = address
            yield from ((each, "") for each in found)
            if found:
                return

    def _told_by(self, address: str, role: str) -> list[str]:
        """Which servers of this role a sentinel names."""
        session = self.sentinel(address)
        try:
            name = self.url.name
            leader = session.do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name, timeout_s=ASK_S)
            if leader is None:
                raise UnknownMaster(address, name, names_of(session))
            leads = address_of(*leader)
            self.memory.servers[leads] = None
            if role == PRIMARY:
                return [leads]
            replicas = [fields_of(it) for it in session.do("SENTINEL", "REPLICAS", name, timeout_s=ASK_S)]
        finally:
            session.close()
        addresses = {address_of(it["ip"], it["port"]): it["flags"].split(",") for it in replicas}
        self.memory.servers.update(dict.fromkeys(addresses))
        following = [it for it, flags in addresses.items() if not set(flags) & set(OUT_OF_SERVICE)]
        return following if role == STANDBY else [leads, *following]

    def _attempt(self, address: str, role: str, patient: bool) -> "Session | str":
        """A connection if the server is of this role; else why not."""
        try:
            session = self.at(address)
        except ConnectionRefused as error:
            self._require_hope(address, error, patient)
            return _refusal(error)
        try:
            unfit = why_not(session, role)
        except ServerError as error:
            if not patient and error.code in FINAL_CODES:
                session.close()
                raise UsageError(error.message, error.hint) from error
            unfit = error.message.rstrip(".")
        if unfit:
            session.close()
            if not patient and self.url.mode == SINGLE and unfit in REMEDIES:
                raise UsageError(f"{address} {unfit}, and {REMEDIES[unfit][0]}.", REMEDIES[unfit][1])
            return unfit
        return session

    def _require_hope(self, address: str, error: ConnectionRefused, patient: bool) -> None:
        """Raise `UsageError` for a refusal that waiting does not mend."""
        if error.final and not patient:
            sentinel = self.url.mode == SENTINEL and address in self.url.hosts
            who, hint = ("sentinel", FOR_SENTINELS.get(error.code, "")) if sentinel else ("Redis server", "")
            raise UsageError(f"the {who} {address} does not let us in: {error}.", hint or error.hint) from error


class UnknownMaster(ServerError):
    """A sentinel that does not know the master of that name, but those that are `known`."""

    def __init__(self, address: str, name: str, known: list[str]) -> None:
        super().__init__(f"the sentinel {address} knows no master {name!r}, but {', '.join(known) or 'none'}.")
        self.hint = f"correct the name in REDIS_URL ({name!r} now)."


REPLICA, NO_SERVER = "is a replica", "is a sentinel"
REMEDIES = {
    REPLICA: ("takes no writes", "name the primary, all servers with commas, or Sentinel in the URL (REDIS_URL)."),
    NO_SERVER: ("keeps no data", "write redis+sentinel://host:port,host:port/name in REDIS_URL."),
}


def why_not(session: Session, role: str) -> str:
    """Why a server is not of this role; empty if it is. Raises `ServerError` if it does not say."""
    if role == ANY:
        return ""
    kind, *more = session.do("ROLE", timeout_s=ASK_S)
    if role == PRIMARY:
        return {b"master": "", b"slave": REPLICA}.get(kind, NO_SERVER)
    if kind != b"slave":
        return "is no replica"
    return "" if more[2] == b"connected" else f"is not in step ({more[2].decode()})"


def require_sentinel(address: str, error: ServerError) -> None:
    """Raise `UsageError` for an answer that no sentinel gives to whom it lets in and whose master it knows."""
    if isinstance(error, UnknownMaster):
        raise UsageError(error.message, error.hint) from error
    if "unknown command" in error.message:
        raise UsageError(f"{address} is no sentinel.", "name sentinels in REDIS_URL, or write redis://.") from error
    if error.code in FINAL_CODES:
        raise UsageError(error.message, error.hint) from error


def _refusal(error: ConnectionRefused) -> str:
    text = str(error)
    return text if text.startswith(("does not", "hangs up")) else f"says: {text}"


def names_of(session: Session) -> list[str]:
    """The masters that a sentinel knows. Raises `ServerError` if it does not say."""
    return sorted(fields_of(it).get("name", "?") for it in session.do("SENTINEL", "MASTERS", timeout_s=ASK_S))


def fields_of(flat: list[bytes]) -> dict[str, str]:
    """An answer of names and values in turn."""
    texts = [it.decode(errors="replace") for it in flat]
    return dict(zip(texts[::2], texts[1::2], strict=False))


def address_of(host: bytes | str, port: bytes | str) -> str:
    """``host:port``."""
    name, number = (it.decode() if isinstance(it, bytes) else it for it in (host, port))
    return f"[{name}]:{number}" if ":" in name else f"{name}:{number}"


def by_port(address: str) -> tuple[str, int]:
    """What to sort addresses by."""
    host, _, port = address.rpartition(":")
    return host, int(port)
