"""Patroni's REST interface, with the standard library alone. A drill works without it, and then knows less.

Any member answers for the whole cluster, so the first that does is taken. What it says is as old as its last look at
its DCS, up to `loop_wait`.
"""

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaosdrills.errors import DrillError, UnavailableError, UsageError

LEADER = "leader"
SYNCHRONOUS = ("sync_standby", "quorum_standby")
HEALTHY = ("running", "streaming")
ASK_S = 3.0
REFUSED = (401, 403)


@dataclass(frozen=True)
class Member:
    """One node as Patroni knows it; `lag_bytes` is -1 and `timeline` 0 where it does not."""

    name: str
    role: str
    state: str
    address: str
    timeline: int
    lag_bytes: int
    url: str

    @property
    def synchronous(self) -> bool:
        """Whether commits wait for it."""
        return self.role in SYNCHRONOUS


@dataclass(frozen=True)
class Patroni:
    """How Patroni is reached: the addresses of members, and who we are (``user:password``, empty for nobody)."""

    urls: tuple[str, ...]
    credentials: str = field(default="", repr=False)

    def members(self) -> list[Member]:
        """All members. Raises `DrillError` if nobody answers."""
        return [_member(one) for one in json.loads(self._first("/cluster")).get("members", ())]

    def configuration(self) -> dict[str, Any]:
        """The dynamic configuration. Raises `DrillError` if nobody answers."""
        found: dict[str, Any] = json.loads(self._first("/config"))
        return found

    def switches(self) -> dict[int, int]:
        """Where each timeline that was left was left, in bytes of WAL. Raises `DrillError` if nobody answers."""
        found: dict[int, int] = {}
        for line in json.loads(self._first("/history")):
            if isinstance(line, list) and len(line) > 1 and all(isinstance(it, int) for it in line[:2]):
                found[line[0]] = line[1]
        return found

    def system(self) -> str:
        """PostgreSQL's identifier of the cluster; empty if nobody knows it. Raises `DrillError` if nobody answers."""
        return str(json.loads(self._first("/patroni")).get("database_system_identifier") or "")

    def member(self, name: str) -> Member:
        """The member `name`. Raises `UsageError` naming those there are."""
        members = self.members()
        for one in members:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in members) or "none"
        raise UsageError(f"Patroni knows no member {name!r}.", f"choose one of {known}.")

    def switch_over(self, leader: str, candidate: str, timeout_s: float) -> str:
        """Have `candidate` (empty: any) take over from `leader`; what Patroni says of it. Raises `DrillError`."""
        wanted = {"leader": leader, **({"candidate": candidate} if candidate else {})}
        return self._do(self.member(leader), "/switchover", wanted, timeout_s)

    def restart(self, name: str, timeout_s: float) -> str:
        """Restart PostgreSQL on the member `name`. Raises `DrillError`."""
        return self._do(self.member(name), "/restart", {}, timeout_s)

    def reinitialise(self, name: str, timeout_s: float) -> str:
        """Throw the data of the replica `name` away and copy the leader's. Raises `DrillError`."""
        return self._do(self.member(name), "/reinitialize", {"force": True}, timeout_s)

    def _do(self, member: Member, path: str, body: Mapping[str, Any], timeout_s: float) -> str:
        return self._ask(member.url + path, timeout_s, json.dumps(body).encode()).strip()

    def _first(self, path: str) -> str:
        """The first answer that a member gives."""
        why: list[str] = []
        for url in self.urls:
            try:
                return self._ask(url + path, ASK_S)
            except UsageError:
                raise
            except DrillError as error:
                why.append(error.message.rstrip("."))
        raise UnavailableError(
            f"no Patroni answers: {'; '.join(why)}.", "check timescaledb_patroni, and that Patroni runs."
        )

    def _ask(self, url: str, timeout_s: float, body: bytes | None = None) -> str:
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
        if self.credentials:
            request.add_header("Authorization", f"Basic {base64.b64encode(self.credentials.encode()).decode()}")
        try:
            with _OPENER.open(request, timeout=timeout_s) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise _refusal(url, error.code, error.read().decode(errors="replace").strip()) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise UnavailableError(f"{url} says: {reason}.", "check the address, and that Patroni runs.") from error


_OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context())
)


def patroni_of(configuration: Mapping[str, Any], secrets: Mapping[str, Any]) -> Patroni | None:
    """Patroni as an experiment says it is reached; None if it says nothing.

    `configuration`: `timescaledb_patroni`, addresses joined by commas, and `timescaledb_patroni_auth_file`, in which
    ``user:password`` stands. `secrets`: `patroni_username` and `patroni_password`, over the file. Raises `UsageError`.
    """
    given = configuration.get("timescaledb_patroni") or ""
    if not given:
        return None
    urls = [url.strip().rstrip("/") for url in str(given).split(",") if url.strip()]
    if not all(url.startswith(("http://", "https://")) for url in urls):
        raise UsageError("timescaledb_patroni is no list of addresses.", "write 'http://host:8008,http://host:8008'.")
    if any("@" in url for url in urls):
        raise UsageError(
            "an address in timescaledb_patroni holds who we are, which would be shown.",
            "give patroni_username and patroni_password among the secrets of 'timescaledb'.",
        )
    if secrets.get("patroni_username"):
        return Patroni(tuple(urls), f"{secrets['patroni_username']}:{secrets.get('patroni_password', '')}")
    return Patroni(tuple(urls), _credentials(str(configuration.get("timescaledb_patroni_auth_file") or "")))


def _credentials(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "the file timescaledb_patroni_auth_file cannot be read.", "correct it: 'user:password' stands in it."
        ) from error


def _refusal(url: str, status: int, text: str) -> DrillError:
    if status in REFUSED:
        return UsageError(
            f"Patroni at {url} does not let us in ({status}).",
            "give patroni_username and patroni_password among the secrets of 'timescaledb', or "
            "timescaledb_patroni_auth_file.",
        )
    return UnavailableError(f"Patroni at {url} answers {status}: {text[:200]}.", "look at Patroni's log.")


def _member(told: Mapping[str, Any]) -> Member:
    lag, timeline = told.get("lag"), told.get("timeline")
    return Member(
        name=str(told.get("name", "")),
        role=str(told.get("role", "")),
        state=str(told.get("state", "")),
        address=f"{told.get('host', '')}:{told.get('port', '')}",
        timeline=timeline if isinstance(timeline, int) else 0,
        lag_bytes=lag if isinstance(lag, int) else -1,
        url=str(told.get("api_url", "")).removesuffix("/patroni"),
    )
