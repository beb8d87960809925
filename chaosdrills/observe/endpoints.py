"""The argument `polls` of the observe control: endpoints that users need, and how each is polled.

In an experiment::

    "polls": [{"name": "app", "url": "${app_url}/health", "rate_per_s": 20, "timeout_s": 1,
               "expect": {"status": 200, "json": "database", "equals": "up"}},
              {"name": "queue", "url": "${app_url}/metrics", "keep_alive": true,
               "expect": {"metric": "queue_length{queue=\\"in\\"}", "at_most": 1000}},
              {"name": "features", "url": "${feast_url}", "body": {"features": ["stats:trips"], "entities": {}},
               "expect": {"json": "results.1.values.0", "differs": null}}]

`expect` (default: any status from 200 to 299) must hold whole; it may be a list, each of which must. With a `body`, an
object, that is posted as JSON. `keep_alive`: reuse connections; by default each poll
makes a new one, as a user who comes anew. A poll whose URL is empty is left out (`unaddressed`): it comes from a
variable that nobody has set. A URL may hold a user's name and password, which then come from the experiment's secrets:
no URL gets into a record, a summary, a log or a message.
"""

import base64
import difflib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UsageError
from chaosdrills.observe.expectation import KEYS, Expectation, expectation_of
from chaosdrills.observe.listed import LATER, listed

NAMES = ("name", "url", "body", "rate_per_s", "timeout_s", "expect", "keep_alive")
MOST = 20  # endpoints


@dataclass(frozen=True)
class Endpoint:
    """One endpoint. `host` and `port` are where to connect, by TLS if `secure`; `request` is what is said there.

    `request` may hold a password. `expectation` is what a good answer is like.
    """

    name: str
    host: str = field(default="", repr=False)
    port: int = 80
    secure: bool = False
    request: bytes = field(default=b"", repr=False)
    rate_per_s: float = 20.0
    timeout_s: float = 1.0
    keep_alive: bool = False
    expectation: Expectation = field(default_factory=Expectation)


def endpoints_of(given: Any, written: bool = False) -> tuple[Endpoint, ...]:
    """The endpoints of the argument `polls`; none if it is None. Raises `UsageError` for what cannot be polled.

    `written`: as it stands in the experiment, where ``${...}`` in a value is not known yet and passed over, and where
    no password may stand.
    """
    return listed("polls", MOST, given, written, _endpoint)


def unaddressed(given: Any) -> tuple[str, ...]:
    """The names of those of the argument `polls` that have an empty URL."""
    return tuple(str(one.get("name")) for one in given if is_unaddressed(one)) if isinstance(given, list) else ()


def is_unaddressed(poll: Any) -> bool:
    """Whether a poll's URL is empty: nobody has said where it is."""
    return isinstance(poll, Mapping) and poll.get("url") == ""


def require_often(endpoints: Sequence[Endpoint], parameters: Parameters) -> None:
    """Raise `UsageError` for an endpoint polled so rarely that its poller would seem silent."""
    for endpoint in endpoints:
        if endpoint.rate_per_s * parameters.fresh_s < 1:
            raise UsageError(
                f"the poll {endpoint.name!r} comes every {1 / endpoint.rate_per_s:g} s, and after fresh_s "
                f"({parameters.fresh_s:g} s) without one nothing is known.",
                "give it a higher rate_per_s, or a larger fresh_s.",
            )


def _endpoint(given: Any, number: int, written: bool) -> Endpoint:
    def wrong(why: str, hint: str) -> UsageError:
        label = repr(name) if isinstance(name, str) and name else f"number {number}"
        return UsageError(f"the poll {label} cannot be used: {why}.", hint if hint.endswith("?") else f"{hint}.")

    name = given.get("name") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping):
        raise wrong("it is no object", f"give it {', '.join(NAMES)}")
    expect = given.get("expect")
    expected = expect if isinstance(expect, list) else [expect]
    for known, found in ((NAMES, given), *((KEYS, each) for each in expected)):
        for key in found if isinstance(found, Mapping) else ():
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"what there is: {', '.join(known)}"
                raise wrong(f"there is no {str(key)[:40]!r}", hint)
    for required in ("name", "url"):
        if required not in given:
            raise wrong(f"it has no {required!r}", f"give it one, and whatever else of {', '.join(NAMES)} it needs")
    if not isinstance(name, str) or not 0 < len(name) <= 40 or not name.isprintable():
        raise wrong("its name is none", "give a text of 1 to 40 characters")
    known_now = {key: value for key, value in given.items() if not (written and LATER in json.dumps(value))}
    where = address_of(known_now.get("url", "http://later"), written, wrong)
    request = request_of(where, _body(known_now, wrong), bool(known_now.get("keep_alive")))
    return Endpoint(name=name, **place_of(where), request=request, **_settings(known_now, wrong))


def _settings(given: Mapping[str, Any], wrong: Any) -> dict[str, Any]:
    """What is set of rate, timeout, connections and expectation."""
    settings: dict[str, Any] = {}
    for key, low, high in (("rate_per_s", 0.01, 1000.0), ("timeout_s", 0.001, 30.0)):
        if key in given:
            try:
                value = float(given[key]) if not isinstance(given[key], bool) else -1.0
            except (TypeError, ValueError, OverflowError):
                value = -1.0
            if not low <= value <= high:
                raise wrong(f"its {key} is {given[key]!r}", f"give a number from {low:g} to {high:g}")
            settings[key] = value
    if "keep_alive" in given:
        if not isinstance(given["keep_alive"], bool):
            raise wrong(f"its keep_alive is {given['keep_alive']!r}", "give true or false")
        settings["keep_alive"] = given["keep_alive"]
    if "expect" in given:
        settings["expectation"] = expectation_of(given["expect"], wrong)
    return settings


def _body(given: Mapping[str, Any], wrong: Any) -> bytes | None:
    """What is posted, if anything is."""
    if "body" not in given:
        return None
    if not isinstance(given["body"], Mapping):
        raise wrong("its body is no object", 'write, for example, {"features": ["stats:trips"]}')
    return json.dumps(given["body"]).encode()


def place_of(where: SplitResult) -> dict[str, Any]:
    """The server that a URL leads to, as `Endpoint` has it."""
    secure = where.scheme == "https"
    return {"host": where.hostname or "", "port": where.port or (443 if secure else 80), "secure": secure}


def address_of(url: Any, written: bool, wrong: Any) -> SplitResult:
    """A URL, taken apart. Its errors never repeat it."""
    hint = "write it as http://host:port/path, or https"
    if (
        not isinstance(url, str)
        or not url.isascii()
        or any(character <= " " or character == "\x7f" for character in url)
    ):
        raise wrong("its url is no text, or has characters that a URL has not", hint)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong("its url is none", hint) from error
    if parts.scheme not in ("http", "https") or not host or port == 0 or not _is_host(host):
        raise wrong("its url is none of http or https with a host", hint)
    if written and "@" in parts.netloc:
        raise wrong("its url holds a user's name or password", 'keep them in "secrets", and write "${...}" here')
    return parts


def _is_host(host: str) -> bool:
    if ":" not in host:
        return len(host) <= 253 and all(0 < len(label) <= 63 for label in host.removesuffix(".").split("."))
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def request_of(parts: SplitResult, body: bytes | None, keep_alive: bool) -> bytes:
    """What is said to the server of a URL: GET, or POST of a body."""
    user, at, host = parts.netloc.rpartition("@")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    method = "GET" if body is None else "POST"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: chaosdrills", "Accept: */*"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if at:
        credentials = ":".join(unquote(part) for part in (*user.split(":", 1), "")[:2])
        lines.append(f"Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
    lines += [f"Connection: {'keep-alive' if keep_alive else 'close'}", "", ""]
    return "\r\n".join(lines).encode() + (body or b"")
