"""The Redis client, in which every wait is bounded. The only module that imports redis-py and hiredis.

redis-py makes a connection: names, TLS, login, database. Then hiredis reads and writes the protocol (RESP2) on its
socket: in a `Session`, one command at a time; or without waiting (`chaosdrills.redis.line`). No message here shows a
password.
"""

import re
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from chaosdrills.errors import UnavailableError
from chaosdrills.redis.url import Login

try:
    import hiredis
    import redis
    from hiredis import pack_command as packed
    from redis.backoff import NoBackoff
    from redis.connection import Connection, SSLConnection
    from redis.retry import Retry
except ImportError as missing:
    raise UnavailableError(
        f"the Redis driver is not installed: {missing}.", "run pip install 'chaosdrills[redis]'."
    ) from missing

__all__ = ["Reply", "ReplyError"]

Reply = Any
ReplyError = hiredis.ReplyError
CHUNK_BYTES = 65_536
_CODE = re.compile(r"-?([A-Z]{3,})\b ?")
# What no waiting mends, by the code of the answer. Those in small letters are ours, for answers that have none.
FINAL_CODES = frozenset(
    {"WRONGPASS", "NOAUTH", "NOPERM", "DENIED", "no password", "no database", "no certificate", "no redis", "tls"}
)
_CODES_BY_WORDS = {
    "without any password": "no password",
    "no password is set": "no password",
    "protected mode": "DENIED",
    "DB index is out of range": "no database",
    "certificate required": "no certificate",
    "certificate": "tls",
    "SSL": "tls",
    "wrong version number": "tls",
}
HANGS_UP = "hangs up before it lets anybody in: does it want "
WANTS = {False: "TLS (rediss://)?", True: "a certificate (ssl_certfile, ssl_keyfile)?"}
RIGHTS = (
    "~chaosdrills:* +role +info +client|setname +client|id +client|list +client|kill +scan +set +get +mget +exists "
    "+pttl +unlink +wait"
)
_HINTS = {
    "LOADING": "it is loading its data from disk: wait until it has, and see how long that takes.",
    "OOM": "its maxmemory is reached: make room, or raise it.",
    "MISCONF": "it cannot write its snapshot: look at its log and its disk.",
    "READONLY": "it is a replica: name the primary, or all servers, or Sentinel in the URL (REDIS_URL).",
    "NOPERM": f"have an administrator allow what a drill does: ACL SETUSER <user> {RIGHTS}, and +select for a database "
    "other than 0",
    "NOREPLICAS": "too few replicas follow it (min-replicas-to-write): wait until they do.",
    "DENIED": "it is in protected mode: give it a password, or bind it to the address that is used.",
    "WRONGPASS": "check user and password in REDIS_URL.",
    "NOAUTH": "give the password in REDIS_URL, or its file as passfile.",
    "MOVED": "name a Redis that is no cluster.",
    "no password": "it asks for none: leave it out of REDIS_URL, or name a user.",
    "no database": "name a database that it has in REDIS_URL.",
    "no certificate": "it wants to see a certificate: give ssl_certfile and ssl_keyfile in REDIS_URL.",
    "no redis": "name the address of a Redis in REDIS_URL.",
    "tls": "name who vouches for its certificate (ssl_ca_certs in REDIS_URL), and call it as its certificate does.",
}


class ServerError(UnavailableError):
    """What a server answered to a command: `code` is the answer's first word, empty where the connection was lost."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message, _HINTS.get(code, "look at the server's log."))
        self.code = code


class SilenceError(ServerError):
    """A server that has not answered in time: it may do what it was asked all the same."""


class ConnectionRefused(Exception):
    """A connection was not made: `final` if trying again will not help (a wrong password, TLS against none)."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.code = code
        self.hint = _HINTS.get(code, "")
        self.final = code in FINAL_CODES


def joined(words: Sequence[str | bytes | int]) -> bytes:
    """A command as it is sent."""
    sent: bytes = packed(tuple(words))  # type: ignore[arg-type]  # hiredis takes any number of words
    return sent


def versions() -> dict[str, str]:
    """The versions of redis-py and hiredis."""
    return {"redis_py": redis.__version__, "hiredis": hiredis.__version__}


def code_of(error: Exception) -> str:
    """The code of an error that a server answered: its first word, if that is in capitals."""
    found = _CODE.match(str(error))
    return found[1] if found and found[1] != "ERR" else ""


def said(error: Exception) -> str:
    """What a server answered, without the code and on one line."""
    text = str(error)
    bare = text.removeprefix("ERR ").removeprefix("-")
    code = code_of(error)
    return re.sub(r"\s+", " ", bare.removeprefix(f"{code} ") if code else bare).strip().rstrip(".") or text


class Parser:
    """Takes the protocol in as it comes, and gives whole answers."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()

    def feed(self, data: bytes) -> None:
        """Take in what was received."""
        self._reader.feed(data)

    def answers(self) -> Iterator[Reply]:
        """The answers that are whole. Raises `ServerError` for what is no answer of a Redis."""
        try:
            while (answer := self._reader.gets()) is not False:
                yield answer
        except hiredis.ProtocolError as error:
            raise ServerError(f"an answer that no Redis gives: {error}.") from error


class Session:
    """One connection to the server at `address`, used by one thread, one command at a time. Answers are bytes."""

    def __init__(self, address: str, login: Login, name: str, timeout_s: float) -> None:
        self.address = address
        self._connection = _made(address, login, timeout_s)
        self.socket: socket.socket = self._connection._get_socket()
        self._parser = Parser()
        self._hangs_up = HANGS_UP + WANTS[login.tls is not None]
        self.user = login.username
        self._name(name, timeout_s)

    def do(self, *words: str | bytes | int, timeout_s: float) -> Reply:
        """What the server answers. Raises `ServerError`; a server that is too slow is hung up on."""
        (answer,) = self.do_all([words], timeout_s)
        return answer

    def do_all(self, commands: Sequence[Sequence[str | bytes | int]], timeout_s: float) -> list[Reply]:
        """What the server answers to several commands that are sent at once. Raises `ServerError` for the first."""
        answers = self.try_all(commands, timeout_s)
        for words, answer in zip(commands, answers, strict=True):
            if isinstance(answer, ReplyError):
                what = " ".join(str(it) for it in words[:2]) if words[0] in _TWO_WORDS else str(words[0])
                raise ServerError(f"{self.address} refuses {what}: {said(answer)}.", code_of(answer))
        return answers

    def try_all(self, commands: Sequence[Sequence[str | bytes | int]], timeout_s: float) -> list[Reply]:
        """The same, with answers that are errors among them. Raises `ServerError` if the connection is lost."""
        found: list[Reply] = []
        deadline = time.monotonic() + timeout_s
        try:
            self._wait(deadline)
            self.socket.sendall(b"".join(map(joined, commands)))
            while len(found) < len(commands):
                self._receive(deadline)
                found += self._parser.answers()
        except TimeoutError as error:
            self.close()
            raise SilenceError(f"the server at {self.address} did not answer within {timeout_s:g} s.") from error
        except OSError as error:
            self.close()
            raise ServerError(f"the connection to {self.address} was lost: {_reason(error)}.") from error
        return found

    def close(self) -> None:
        """End the connection. Idempotent."""
        self._connection.disconnect()

    def _name(self, name: str, timeout_s: float) -> None:
        """Tell the server who this is; who may not go on without. Raises `ConnectionRefused` if we are not let in."""
        try:
            (answer,) = self.try_all([("CLIENT", "SETNAME", name)], timeout_s)
        except SilenceError as error:
            raise ConnectionRefused("does not answer") from error
        except ServerError as error:
            if not isinstance(error.__cause__, OSError):
                raise ConnectionRefused(error.message.rstrip("."), "no redis") from error
            why, code = _bare(_reason(error.__cause__)), _code_by_words(str(error.__cause__))
            raise ConnectionRefused(*((why, code) if code else (self._hangs_up, ""))) from error
        if isinstance(answer, ReplyError) and code_of(answer) not in ("", "NOPERM"):
            self.close()
            raise ConnectionRefused(said(answer), code_of(answer))

    def _wait(self, deadline: float) -> None:
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))

    def _receive(self, deadline: float) -> None:
        self._wait(deadline)
        data = self.socket.recv(CHUNK_BYTES)
        if not data:
            raise ConnectionResetError("the server closed it")
        self._parser.feed(data)


_TWO_WORDS = ("SENTINEL", "CLIENT", "CONFIG", "ACL", "COMMAND", "MEMORY", "CLUSTER", "SCRIPT")


def _made(address: str, login: Login, timeout_s: float) -> Any:
    """A connection that redis-py has made. Raises `ConnectionRefused`."""
    host, _, port = address.rpartition(":")
    kind = Connection if login.tls is None else SSLConnection
    try:
        connection = kind(
            host=host.strip("[]"), port=int(port), db=login.db, username=login.username or None,
            password=login.password or None, socket_timeout=timeout_s, socket_connect_timeout=timeout_s,
            protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0), **(login.tls or {}),
        )  # fmt: skip
        connection.connect()  # type: ignore[no-untyped-call]
        return connection
    except redis.exceptions.RedisError as error:
        raise ConnectionRefused(*_refusal(error, login.tls is not None)) from error
    except OSError as error:
        raise ConnectionRefused(_bare(_reason(error)), _code_by_words(str(error))) from error


def _refusal(error: Exception, by_tls: bool) -> tuple[str, str]:
    """What redis-py says, without the address that is known already, and its code."""
    if isinstance(error, redis.exceptions.TimeoutError):
        return "does not answer" + (", or not by TLS" if by_tls else ""), ""
    text, code = str(error), _code_of_its(error)
    if not code and _HUNG_UP.search(text):
        return HANGS_UP + WANTS[by_tls], ""
    return _bare(text) or type(error).__name__, code


_HUNG_UP = re.compile(r"Connection closed by server|Connection reset by peer|Broken pipe")
_AROUND = re.compile(
    r"^Error -?\w+ connecting to \S+\. |^Error while (reading from|writing to) \S+ ?(: )?|\(\d+, '(?P<text>.*)'\)|"
    r"\[\w+: \w+\] | ?\(_ssl\.c:\d+\)"
)


def _bare(text: str) -> str:
    """An error's words on one line, without what Python and redis-py put around them."""
    for _ in range(2):  # some are around others
        text = _AROUND.sub(lambda found: found["text"] or "", text)
    text = re.sub(r"\s+", " ", text).strip().rstrip(".?")
    return text.lower() if text == "Connection refused" else text


def _code_of_its(error: Exception) -> str:
    """The server's code, of which redis-py makes a class of its own."""
    by_words = _code_by_words(str(error))
    if by_words:
        return by_words
    kinds = redis.exceptions
    known = {
        kinds.AuthenticationError: "WRONGPASS",
        kinds.NoPermissionError: "NOPERM",
        kinds.BusyLoadingError: "LOADING",
        kinds.ReadOnlyError: "READONLY",
    }
    found = next((code for kind, code in known.items() if isinstance(error, kind)), "")
    if found == "WRONGPASS" and "required" in str(error).lower():
        return "NOAUTH"
    return found or code_of(error)


def _code_by_words(text: str) -> str:
    return next((code for words, code in _CODES_BY_WORDS.items() if words in text), "")


def _reason(error: BaseException) -> str:
    return re.sub(r"\s+", " ", getattr(error, "strerror", None) or str(error)).strip().rstrip(".")
