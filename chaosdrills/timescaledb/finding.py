"""Finding the server that is wanted among those of a DSN: the one that takes writes, one that only follows, or any.

The watchful client asks all servers at once and takes the first that will do, so that one that does not answer holds
nobody up. The plain one leaves it to libpq, which goes from one to the next.
"""

import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.timescaledb.client import ConnectionRefused, Opening, ServerError, Session
from chaosdrills.timescaledb.dsn import CONNECT_TIMEOUT_S, PLAIN, WATCHFUL, Dsn, Host

PRIMARY, STANDBY, ANY = ROLES = ("primary", "standby", "any")
WISHES = {PRIMARY: "takes writes", STANDBY: "is a standby", ANY: "answers"}
AGAIN_S = 0.1
RESOLVE_AGAIN_S = 5.0
POLL_S = 0.05
ASK_S = 2.0

Stopped = Callable[[], bool]


@dataclass(frozen=True)
class Client:
    """How connections are made: to which servers, under which name, and how patiently."""

    dsn: Dsn
    application: str
    kind: str = WATCHFUL
    connect_timeout_s: float = CONNECT_TIMEOUT_S

    def each(self) -> "Iterator[Client]":
        """One for each server alone."""
        for host in self.dsn.hosts:
            yield replace(self, dsn=replace(self.dsn, hosts=(host,)))

    def find(self, role: str, timeout_s: float, patient: bool = False, stopped: Stopped = lambda: False) -> Session:
        """A connection to a server of this role (of `ROLES`).

        Raises `UnavailableError`, saying what each server said last, if there is none within `timeout_s` or it is
        `stopped`; `UsageError` at once if a server does not accept who we are, unless `patient`.
        """
        search = _Search(self, role, patient)
        try:
            return search.run(timeout_s, stopped)
        finally:
            search.close()


class _Attempt:
    """What is being tried at one server: `opening` while it is, `why` it failed last, and when it is tried again."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.opening: Opening | None = None
        self.why = "not asked yet"
        self.deadline = 0.0
        self.again_at = 0.0

    def fail(self, why: str) -> None:
        self.why, self.again_at = why, time.monotonic() + AGAIN_S
        self.close()

    def close(self) -> None:
        if self.opening is not None:
            self.opening.close()
            self.opening = None


class _Search:
    def __init__(self, client: Client, role: str, patient: bool) -> None:
        self._client = client
        self._role = role
        self._patient = patient
        self._attempts: list[_Attempt] = []
        self._resolve_at = 0.0

    def run(self, timeout_s: float, stopped: Stopped) -> Session:
        begun = time.monotonic()
        deadline = begun + timeout_s
        while True:
            self._begin()
            found = self._serve(max(0.0, min(POLL_S, deadline - time.monotonic())))
            if found is not None:
                return found
            if time.monotonic() >= deadline or stopped():
                raise UnavailableError(
                    f"no PostgreSQL server {WISHES[self._role]}, {round(time.monotonic() - begun, 1):g} s long: "
                    f"{self._said()}.",
                    "check the addresses in the DSN, and that the servers run; the primary must be among them.",
                )

    def close(self) -> None:
        for attempt in self._attempts:
            attempt.close()

    def _said(self) -> str:
        return "; ".join(f"{it.host.label} {it.why}" for it in self._attempts)

    def _begin(self) -> None:
        """Ask every server that is not being asked and is due."""
        now = time.monotonic()
        if now >= self._resolve_at:
            self._resolve(now)
        for attempt in self._attempts:
            if attempt.opening is None and now >= attempt.again_at:
                patience_s = self._client.dsn.connect_timeout_s or self._client.connect_timeout_s
                attempt.deadline = now + (float("inf") if self._client.kind == PLAIN else patience_s)
                try:
                    attempt.opening = Opening(self._conninfo(attempt.host))
                except ConnectionRefused as error:
                    attempt.fail(f"says: {error}")

    def _resolve(self, now: float) -> None:
        self._resolve_at = now + RESOLVE_AGAIN_S
        dsn = self._client.dsn
        hosts = [dsn.all_at_once] if self._client.kind == PLAIN else dsn.resolved()
        known = {it.host: it for it in self._attempts}
        for host, attempt in known.items():
            if host not in hosts:
                attempt.close()
        self._attempts = [known.get(host) or _Attempt(host) for host in hosts]

    def _conninfo(self, host: Host) -> bytes:
        attributes = {PRIMARY: "read-write", STANDBY: "standby", ANY: "any"}[self._role]
        more = {"target_session_attrs": attributes} if self._client.kind == PLAIN else {}
        return self._client.dsn.conninfo(host, self._client.application, self._client.kind, **more)

    def _serve(self, wait_s: float) -> Session | None:
        """Go on where there is something to go on with; the connection that was wanted, once there is one."""
        open_now = {it.opening.descriptor[0]: it for it in self._attempts if it.opening is not None}
        poll = select.poll()
        for attempt in open_now.values():
            assert attempt.opening is not None
            poll.register(*attempt.opening.descriptor)
        ready = {descriptor for descriptor, _ in poll.poll(wait_s * 1000)}
        for descriptor, attempt in open_now.items():
            if descriptor in ready:
                found = self._step(attempt)
                if found is not None:
                    return found
            elif time.monotonic() >= attempt.deadline:
                attempt.fail("does not answer")
        return None

    def _step(self, attempt: _Attempt) -> Session | None:
        assert attempt.opening is not None
        try:
            if not attempt.opening.step():
                return None
        except ConnectionRefused as error:
            attempt.fail(f"says: {error}")
            if error.final and not self._patient:
                raise UsageError(
                    f"the PostgreSQL server {attempt.host.label} does not let us in: {error}.",
                    "check user, password, database and sslmode in the DSN (TIMESCALEDB_DSN), and pg_hba.conf.",
                ) from error
            return None
        session = Session(attempt.opening.pgconn)
        try:
            unfit = why_not(session, self._role)
        except ServerError as error:
            unfit = error.message.rstrip(".")
        if unfit:
            attempt.fail(unfit)
            return None
        attempt.opening = None
        return session


def why_not(session: Session, role: str) -> str:
    """Why a server is not of this role; empty if it is. Raises `ServerError` if it does not say."""
    if role == ANY:
        return ""
    standby = is_standby(session)
    if role == STANDBY:
        return "" if standby else "is no standby"
    if standby:
        return "is a standby"
    return "is read-only" if session.reported("default_transaction_read_only") == "on" else ""


def is_standby(session: Session) -> bool:
    """Whether a server is in recovery: it says so by itself from PostgreSQL 14 on, unless a pooler stands before it."""
    reported = session.reported("in_hot_standby")
    return reported == "on" if reported else session.query("SELECT pg_is_in_recovery()", ASK_S)[0][0] == "t"
