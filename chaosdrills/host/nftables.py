"""Tables of the kernel's packet filter, made and removed as a whole, over netlink: no program or library is needed.

Only IPv4, and only what an isolation takes: a table with the chains that it is made with, called as in `HOOKS`. A rule
is a list of expressions, tried in turn until one does not match: load something into a register, compare it, act.

Why not the library pyroute2 (0.9.7): what it is given as one batch it sends message by message, so that a table whose
rules were refused stays behind half made. Here the kernel takes all of a batch or nothing, and says so. The bytes are
those of netlink(7), linux/netfilter/nfnetlink.h and nf_tables.h::

    message    uint32 length | uint16 type | uint16 flags | uint32 sequence | uint32 port 0
               | uint8 family | uint8 version 0 | uint16 (big-endian) subsystem, of a batch's begin and end | attributes
    attribute  uint16 length | uint16 kind, 0x8000 with it if it holds attributes | value | zeros up to 4 bytes
    batch      begin | changes, the last of which asks for an answer | end
    answer     message of type 2: int32 negative errno, 0 for success | the header of what it answers

Numbers are in the machine's order in headers and in what is compared to, big-endian in attributes.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence

from chaosdrills.errors import UnavailableError

Expression = bytes
Rule = Sequence[Expression]

HOOKS = {"in": 1, "out": 3}  # NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT
HEADER, GENERIC = struct.Struct("=IHHII"), struct.Struct("=BBH")
NETFILTER = 12  # NETLINK_NETFILTER
SO_SNDBUFFORCE = 32
LARGEST = 64 << 20  # of a batch, in bytes; a rule takes 300
REQUEST, ACK, INTERRUPTED, DUMP = 0x1, 0x4, 0x10, 0x300
NEW, AT_THE_END = 0x600, 0xC00  # exclusively created, appended
ERROR, DONE = 2, 3
BATCH_BEGIN, BATCH_END = 0x10, 0x11
SUBSYSTEM = 10
NEW_TABLE, GET_TABLE, DELETE_TABLE, NEW_CHAIN, NEW_RULE = 0, 1, 2, 3, 6
FLAGS = {NEW_TABLE: NEW, NEW_CHAIN: NEW, NEW_RULE: AT_THE_END, DELETE_TABLE: 0}
NESTED = 0x8000

REGISTER, VERDICT_REGISTER = 1, 0
EQUAL, NOT_EQUAL = 0, 1
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
MARK, SKUID, L4PROTO = 3, 10, 16
POLICY_ACCEPT = 1
TRIES = 10

Change = tuple[int, bytes]  # kind of message, attributes


def why_not(name: str, chains: Mapping[str, Sequence[Rule]]) -> str:
    """Why such a table cannot be made here; empty if it can. Makes one called `name`, and removes it."""
    try:
        make(name, chains)
        remove(name)
    except UnavailableError as error:
        return error.message.rstrip(".")
    return ""


def make(name: str, chains: Mapping[str, Sequence[Rule]]) -> None:
    """Make a table with its chains and rules, all at once. Raises `UnavailableError` if the kernel refuses."""
    changes: list[Change] = [(NEW_TABLE, _text(1, name))]
    for chain, rules in chains.items():
        hook = _nested(4, _number(1, HOOKS[chain]), _number(2, 0))
        named = _text(1, name) + _text(3, chain)
        changes.append((NEW_CHAIN, named + hook + _number(5, POLICY_ACCEPT) + _text(7, "filter")))
        changes.extend((NEW_RULE, _rule(name, chain, rule)) for rule in rules)
    _change(changes)


def add(name: str, chain: str, rules: Sequence[Rule]) -> None:
    """Add rules to a table's chain, all at once. Raises as `make` does."""
    if rules:
        _change([(NEW_RULE, _rule(name, chain, rule)) for rule in rules])


def remove(name: str) -> bool:
    """Remove a table with all that is in it; false if there is none. Raises as `make` does."""
    try:
        _change([(DELETE_TABLE, _text(1, name))])
    except UnavailableError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return False
        raise
    return True


def names() -> list[str]:
    """The names of all IPv4 tables of this network namespace. Raises as `make` does."""
    request = _message(SUBSYSTEM << 8 | GET_TABLE, REQUEST | DUMP, 1)
    try:
        for _ in range(TRIES):
            with _netlink() as kernel:
                kernel.send(request)
                found = _names_in(kernel)
            if found is not None:
                return found
    except OSError as error:
        raise _refusal(error) from error
    raise _refusal(OSError(errno.EAGAIN, "its tables change all the time"))


def uid_is(uid: int) -> Rule:
    """The sender's user; only where a packet goes out."""
    return [_meta(SKUID), _compare(EQUAL, struct.pack("=I", uid))]


def mark_is(mark: int) -> Rule:
    return [_meta(MARK), _compare(EQUAL, struct.pack("=I", mark))]


def mark_is_not(mark: int) -> Rule:
    return [_meta(MARK), _compare(NOT_EQUAL, struct.pack("=I", mark))]


def set_mark(mark: int) -> Rule:
    return [
        _expression("immediate", _number(1, REGISTER), _nested(2, _bytes(1, struct.pack("=I", mark)))),
        _expression("meta", _number(2, MARK), _number(3, REGISTER)),
    ]


def protocol_is_not_tcp() -> Rule:
    return [_meta(L4PROTO), _compare(NOT_EQUAL, struct.pack("=B", socket.IPPROTO_TCP))]


def destination_is_not(address: str) -> Rule:
    return [_payload(NETWORK_HEADER, 16, 4), _compare(NOT_EQUAL, socket.inet_aton(address))]


def from_port(port: int) -> Rule:
    return [_payload(TRANSPORT_HEADER, 0, 2), _compare(EQUAL, struct.pack("!H", port))]


def to_port(port: int) -> Rule:
    return [_payload(TRANSPORT_HEADER, 2, 2), _compare(EQUAL, struct.pack("!H", port))]


def _bytes(kind: int, value: bytes) -> bytes:
    """One attribute."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _number(kind: int, value: int) -> bytes:
    return _bytes(kind, struct.pack("!i", value))


def _text(kind: int, value: str) -> bytes:
    return _bytes(kind, value.encode() + b"\0")


def _nested(kind: int, *attributes: bytes) -> bytes:
    return _bytes(kind | NESTED, b"".join(attributes))


def _expression(name: str, *attributes: bytes) -> Expression:
    return _nested(1, _text(1, name), _nested(2, *attributes))


def _meta(key: int) -> Expression:
    return _expression("meta", _number(1, REGISTER), _number(2, key))


def _payload(base: int, offset: int, length: int) -> Expression:
    return _expression("payload", _number(1, REGISTER), _number(2, base), _number(3, offset), _number(4, length))


def _compare(operator: int, value: bytes) -> Expression:
    return _expression("cmp", _number(1, REGISTER), _number(2, operator), _nested(3, _bytes(1, value)))


def _verdict(code: int) -> Rule:
    verdict = _nested(2, _nested(2, _number(1, code)))
    return [_expression("immediate", _number(1, VERDICT_REGISTER), verdict)]


DROP, RETURN = _verdict(0), _verdict(-5)


def _rule(table: str, chain: str, rule: Rule) -> bytes:
    return _text(1, table) + _text(2, chain) + _nested(4, *rule)


def _message(kind: int, flags: int, sequence: int, attributes: bytes = b"", family: int = socket.AF_INET) -> bytes:
    subsystem = socket.htons(SUBSYSTEM) if kind in (BATCH_BEGIN, BATCH_END) else 0
    body = GENERIC.pack(family, 0, subsystem) + attributes
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body


def _change(changes: Sequence[Change]) -> None:
    """Have the kernel make all of `changes`, or none. Raises `UnavailableError`, its cause what the kernel said."""
    last = len(changes)
    batch = [_message(BATCH_BEGIN, REQUEST, 0, family=socket.AF_UNSPEC)]
    for sequence, (kind, attributes) in enumerate(changes, start=1):
        flags = REQUEST | FLAGS[kind] | (ACK if sequence == last else 0)
        batch.append(_message(SUBSYSTEM << 8 | kind, flags, sequence, attributes))
    batch.append(_message(BATCH_END, REQUEST, last + 1, family=socket.AF_UNSPEC))
    try:
        with _netlink() as kernel:
            kernel.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, LARGEST)
            kernel.send(b"".join(batch))
            _require_done(kernel, last)
    except OSError as error:
        raise _refusal(error) from error


def _require_done(kernel: socket.socket, last: int) -> None:
    """Read all answers, which are there once the batch is sent. Raises `OSError` for an error, and for no answer."""
    kernel.setblocking(False)
    answered = False
    try:
        while True:
            for kind, _, sequence, body in _messages(kernel.recv(1 << 16)):
                if kind == ERROR:
                    _raise_if_error(body)
                    answered |= sequence == last
    except BlockingIOError:
        if not answered:
            raise OSError(errno.EPROTO, "it did not answer") from None


def _names_in(kernel: socket.socket) -> list[str] | None:
    """The names in the kernel's list of tables; None if these changed meanwhile. Raises `OSError` for an error."""
    found: list[str] = []
    while True:
        for kind, flags, _, body in _messages(kernel.recv(1 << 16)):
            if flags & INTERRUPTED:
                return None
            if kind == ERROR:
                _raise_if_error(body)
            if kind == DONE:
                return found
            found.append(_attribute(body[GENERIC.size :], 1).rstrip(b"\0").decode())


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, sequence and body of each message."""
    while data:
        length, kind, flags, sequence, _ = HEADER.unpack_from(data)
        yield kind, flags, sequence, data[HEADER.size : length]
        data = data[length + -length % 4 :]


def _attribute(data: bytes, wanted: int) -> bytes:
    while data:
        length, kind = struct.unpack_from("=HH", data)
        if kind == wanted:
            return data[4:length]
        data = data[length + -length % 4 :]
    return b""


def _raise_if_error(body: bytes) -> None:
    (code,) = struct.unpack_from("=i", body)
    if code:
        raise OSError(-code, os.strerror(-code))


def _netlink() -> socket.socket:
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)
    kernel.settimeout(10)
    kernel.bind((0, 0))
    return kernel


def _refusal(error: OSError) -> UnavailableError:
    why = "this user may not" if error.errno == errno.EPERM else error.strerror
    return UnavailableError(f"the kernel's packet filter refuses: {why}.", "use a lab whose network is proxied.")
