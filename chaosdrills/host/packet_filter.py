"""Cutting off a node with the kernel's packet filter (nftables): a silent black hole, both ways. Needs root.

One table a cut, so that deleting the table heals. Its name says whose it is: ``chaosdrills-<lab>-<node>-<scope>``,
`<lab>` being a digest of the lab's folder. Every rule names TCP ports of the lab on 127.0.0.1, so nothing else on the
machine is touched. Which node sends a packet is known by its user, since each has one of its own:

1. What the node sends to its peers' listeners in scope is dropped, and what others send to its own; where clients and
   peers share one, what those in scope send. These rules come into force together; from then on no new connection comes
   about.
2. The connections that stood before are looked up, and their packets dropped in both directions: the answers to them,
   and what the kernel still sends for a process that has closed one.

A node's connections to itself are left alone, as on a machine that is cut off. Packets are dropped on arrival and not
on their way out, where the sender would be told: its kernel is to see what it sees when the network loses them, and
to repeat them ever more slowly. Since an arriving packet has no user, the sender's is put down in its mark.
"""

import errno
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from chaosdrills.errors import UnavailableError
from chaosdrills.host import nftables
from chaosdrills.host.nodes import Cluster, Node, cluster_dir
from chaosdrills.host.scopes import CLIENTS, PARTIES, PARTIES_AT, PEERS, is_meant, meant_at
from chaosdrills.host.sockets import TcpSocket, tcp_sockets

FIRST_UID = 60900
"""Node N runs as user 60900 + N: outside of what distributions and systemd give to anybody (60706 to 61183)."""

PREFIX = "chaosdrills-"
OUT, IN = "out", "in"
TRIAL_S = 20.0
NO_NFTABLES = (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT, errno.EINVAL)
NOT_ALLOWED = (errno.EPERM, errno.EACCES)

Pair = tuple[int, int]  # the ports of a connection: the listener's, and the one that the kernel chose


def why_not() -> str:
    """Why nodes of a lab cannot be cut off here by packet filter; empty if they can. Tries it, and leaves nothing."""
    if os.geteuid() != 0:
        return "it needs root"
    if shutil.which("setpriv") is None:
        return "the program setpriv (package util-linux) is not installed"
    trial = subprocess.run([*as_user(FIRST_UID), "true"], capture_output=True, text=True, timeout=TRIAL_S, check=False)
    if trial.returncode != 0:
        return f"a process cannot be started as user {FIRST_UID}: {trial.stderr.strip()}"
    trial_rules = _rules(1, {1: (CLIENTS,)}, [2], [1, 2])
    return nftables.why_not(f"{PREFIX}trial-{os.getpid()}", {OUT: _sender_rules([FIRST_UID]), IN: trial_rules})


def as_user(uid: int) -> list[str]:
    """What stands before a command so that it runs as `uid`, and still reads and writes what root may.

    Without `no_setuid_fixup` access(2), which Java asks whether it may read a file, would not count the capability.
    """
    return [
        shutil.which("setpriv") or "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
        "--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--",
    ]  # fmt: skip


def cut(cluster: Cluster, node_id: int, scope: str) -> None:
    """Cut the node off; it is when this returns. Raises `UnavailableError` if the kernel refuses, and cuts nothing."""
    node, name = cluster.node(node_id), _table(cluster.service, node_id, scope)
    assert node.uid is not None, "a node of a filtered lab has a user of its own"
    uids = [each.uid for each in cluster.nodes if each.uid is not None]
    own = {port: _shut_out(who, scope) for who, port in node.listeners.items() if meant_at(who, scope)}
    others = [
        port
        for other in cluster.nodes
        if other.id != node_id
        for who, port in other.listeners.items()
        if PEERS in meant_at(who, scope)
    ]
    nftables.make(name, {OUT: _sender_rules(uids), IN: _rules(node.uid, own, others, uids)})
    try:
        standing = _standing(node, scope, others, uids)
        nftables.add(name, IN, [rule for pair in standing for rule in _pair_rules(pair)])
    except BaseException:
        nftables.remove(name)
        raise


def mend(service: str, node_id: int, scope: str) -> bool:
    """End a cut; false if it was not in force. Raises `UnavailableError` if the kernel refuses."""
    return nftables.remove(_table(service, node_id, scope))


def cuts(service: str) -> list[tuple[int, str]]:
    """Node and scope of every cut that is in force on the lab of `service`."""
    found = []
    for name in nftables.names():
        if name.startswith(_prefix(service)):
            node_id, _, scope = name.removeprefix(_prefix(service)).partition("-")
            found.append((int(node_id), scope))
    return sorted(found)


def clear(service: str) -> bool:
    """End all cuts of the lab of `service`; false if there were none, or none could have been made here.

    Raises `UnavailableError` if the kernel does not say, or refuses: a cut may be in force.
    """
    try:
        found = cuts(service)
    except UnavailableError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_NFTABLES + NOT_ALLOWED:
            return False
        raise
    for node_id, scope in found:
        mend(service, node_id, scope)
    return bool(found)


def _prefix(service: str) -> str:
    return f"{PREFIX}{hashlib.sha256(os.fsencode(cluster_dir(service))).hexdigest()[:12]}-"


def _table(service: str, node_id: int, scope: str) -> str:
    return f"{_prefix(service)}{node_id}-{scope}"


def _sender_rules(uids: Sequence[int]) -> list[nftables.Rule]:
    return [[*nftables.uid_is(uid), *nftables.set_mark(uid)] for uid in uids]


def _rules(
    uid: int, own: Mapping[int, tuple[str, ...]], others: Sequence[int], uids: Sequence[int]
) -> list[nftables.Rule]:
    """`own`: the node's ports, with those who are cut off there; `others`: its peers' ports; `uids`: all nodes'."""
    return [
        [*nftables.protocol_is_not_tcp(), *nftables.RETURN],
        [*nftables.destination_is_not("127.0.0.1"), *nftables.RETURN],
        *(
            [*nftables.to_port(port), *sender, *nftables.DROP]
            for port, parties in own.items()
            for sender in _senders(parties, uid, uids)
        ),
        *([*nftables.to_port(port), *nftables.mark_is(uid), *nftables.DROP] for port in others),
    ]


def _senders(parties: tuple[str, ...], uid: int, uids: Sequence[int]) -> list[nftables.Rule]:
    """How the senders of `parties` to the node `uid` are known: each rule finds some of them."""
    if parties == PARTIES:
        return [nftables.mark_is_not(uid)]
    if parties == (PEERS,):
        return [nftables.mark_is(each) for each in uids if each != uid]
    return [[expression for each in uids for expression in nftables.mark_is_not(each)]]


def _shut_out(listener: str, scope: str) -> tuple[str, ...]:
    """Who is cut off at a listener: everybody where all who come in there are in scope."""
    meant = meant_at(listener, scope)
    return PARTIES if meant == PARTIES_AT[listener] else meant


def _pair_rules(pair: Pair) -> list[nftables.Rule]:
    listener, chosen = pair
    return [
        [*nftables.from_port(listener), *nftables.to_port(chosen), *nftables.DROP],
        [*nftables.from_port(chosen), *nftables.to_port(listener), *nftables.DROP],
    ]


def _standing(node: Node, scope: str, others: Sequence[int], uids: Sequence[int]) -> list[Pair]:
    """Connections between `node` and others. Looked up twice: the kernel's list may skip one while it changes."""
    return sorted({pair for _ in range(2) for pair in _pairs(tcp_sockets(), node, scope, others, uids)})


def _pairs(
    sockets: Sequence[TcpSocket], node: Node, scope: str, others: Sequence[int], uids: Sequence[int]
) -> set[Pair]:
    listeners = {port: who for who, port in node.listeners.items() if meant_at(who, scope)}
    made = {(it.remote_port, it.local_port): it for it in sockets if it.remote_port}
    outgoing = {pair for pair, it in made.items() if it.uid == node.uid}
    incoming = {
        (it.local_port, it.remote_port)
        for it in sockets
        if it.remote_port and it.local_port in listeners
        if _is_cut(listeners[it.local_port], scope, made.get((it.local_port, it.remote_port)), uids)
    }
    return (incoming - outgoing) | {pair for pair in outgoing if pair[0] in others}


def _is_cut(listener: str, scope: str, end: TcpSocket | None, uids: Sequence[int]) -> bool:
    """Whether the connection whose other end is `end` is in scope; one that no process holds any more has no user."""
    return end is None or end.inode == "0" or is_meant(listener, scope, end.uid in uids)
