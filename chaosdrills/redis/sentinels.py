"""What each sentinel of a URL says: who leads, in which epoch, whom it takes for down, and whether it sees a quorum."""

from dataclasses import dataclass

from chaosdrills.errors import UsageError
from chaosdrills.redis.client import ReplyError, ServerError, Session, code_of, said
from chaosdrills.redis.finding import (
    ASK_S,
    OUT_OF_SERVICE,
    Client,
    UnknownMaster,
    address_of,
    fields_of,
    names_of,
    require_sentinel,
)


@dataclass(frozen=True)
class Sentinel:
    """One sentinel. `why` says why it does not answer, empty if it does; what follows is then of no meaning.

    `leader` is the server that leads by its word, in the configuration of this `epoch`, which grows with each failover;
    `replicas` are all others that it has heard of, and `down` those of all servers that do not answer it. `others` is
    how many sentinels it knows beside itself, `quorum` how many must agree that the leader is down. `lacks_quorum` is
    what it says if it could not have a failover now, and `failing_over` whether one is under way.
    """

    address: str
    why: str = ""
    leader: str = ""
    epoch: int = 0
    replicas: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    others: int = 0
    quorum: int = 0
    lacks_quorum: str = ""
    failing_over: bool = False

    @property
    def needed(self) -> int:
        """How many sentinels must be there for a failover: those that agree, and a majority that votes."""
        return max(self.quorum, (self.others + 1) // 2 + 1)


def look(client: Client) -> tuple[Sentinel, ...]:
    """Ask every sentinel of the URL; none where it names servers.

    Raises `UsageError` if one does not accept who we are or is no sentinel, or if all that answer know no such master.
    """
    if not client.url.name:
        return ()
    found, unknown = [], None
    for address in client.url.hosts:
        session = client.reach_sentinel(address)
        if isinstance(session, str):
            found.append(Sentinel(address, session))
            continue
        try:
            found.append(_asked(session, client.url.name))
        except UnknownMaster as error:
            unknown = error
            found.append(Sentinel(address, f"knows no master {client.url.name!r}"))
        except (KeyError, ValueError, TypeError) as error:
            found.append(Sentinel(address, f"does not answer as a sentinel does ({error})"))
        except ServerError as error:
            require_sentinel(address, error)
            found.append(Sentinel(address, error.message.rstrip(".")))
        finally:
            session.close()
    if unknown is not None and all(it.why for it in found):
        raise UsageError(unknown.message, unknown.hint) from unknown
    return tuple(found)


def fail_over(client: Client, coordinated: bool) -> str:
    """Have the first sentinel that answers begin a failover, as planned work; its address. Raises `DrillError`."""
    more = ("COORDINATED",) if coordinated else ()
    silent = []
    for address in client.url.hosts:
        session = client.reach_sentinel(address)
        if isinstance(session, str):
            silent.append(f"{address} {session}")
            continue
        try:
            session.do("SENTINEL", "FAILOVER", client.url.name, *more, timeout_s=ASK_S)
            return address
        except ServerError as error:
            if coordinated and not error.code:
                raise UsageError(error.message, "coordinated failovers need sentinels of Valkey 9.") from error
            raise
        finally:
            session.close()
    raise ServerError(f"no sentinel answers: {'; '.join(silent)}.")


def _asked(session: Session, name: str) -> Sentinel:
    questions = ("MASTER", "REPLICAS", "CKQUORUM")
    answers = session.try_all([("SENTINEL", question, name) for question in questions], ASK_S)
    for question, answer in zip(questions, answers, strict=True):
        if isinstance(answer, ReplyError) and code_of(answer) not in ("", "NOQUORUM"):
            raise ServerError(f"{session.address} refuses SENTINEL {question}: {said(answer)}.", code_of(answer))
    told, replicas, quorum = answers
    if isinstance(told, ReplyError):
        known = names_of(session)
        if name not in known:
            raise UnknownMaster(session.address, name, known)
        raise ServerError(f"{session.address} refuses SENTINEL MASTER: {said(told)}.")
    master = fields_of(told)
    others = [fields_of(it) for it in replicas]
    down = [
        address_of(it["ip"], it["port"])
        for it in (master, *others)
        if set(OUT_OF_SERVICE) & set(it["flags"].split(","))
    ]
    return Sentinel(
        address=session.address,
        leader=address_of(master["ip"], master["port"]),
        epoch=int(master["config-epoch"]),
        replicas=tuple(address_of(it["ip"], it["port"]) for it in others),
        down=tuple(down),
        others=int(master["num-other-sentinels"]),
        quorum=int(master["quorum"]),
        lacks_quorum=str(quorum) if isinstance(quorum, Exception) else "",
        failing_over="failover_in_progress" in master["flags"].split(","),
    )
