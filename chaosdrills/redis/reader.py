"""Where the reader beside the load looks how far each stream of a ledger has come, and where registers are read.

Unique keys have no newest one that could be asked for. So it is looked which of the keys that were due last are there,
ever more widely spaced: what is found is the newest, or a little older than it, never newer.
"""

from collections.abc import Callable

from chaosdrills.core.history import NO_SEQ
from chaosdrills.observe.log_reader import Stopped
from chaosdrills.redis import finding, keys
from chaosdrills.redis.arguments import REPLICA, Arguments
from chaosdrills.redis.client import Reply, ServerError, Session
from chaosdrills.redis.finding import ANY, PRIMARY, STANDBY, Client
from chaosdrills.redis.layout import RegisterLayout
from chaosdrills.redis.writing import LedgerWriting

ANSWER_S = 1.0
FIND_S = 1.0
CLOSE = 8  # so many of the newest are looked at one by one, then they are spaced


def candidates(newest: int, seen: int) -> list[int]:
    """The seqs to look for, from `newest` down to `seen`, not counting that: near ones all, far ones ever fewer."""
    found, at, step = [], newest, 1
    while at > seen:
        found.append(at)
        step = 1 if newest - at < CLOSE else step * 2
        at -= step
    return found


class LedgerSource:
    """`chaosdrills.observe.log_reader.Source` of a ledger."""

    def __init__(self, arguments: Arguments, drill_id: str, client: Client, writing: LedgerWriting) -> None:
        self._client = client
        self._writing = writing
        self._other = ANY if arguments.read_from == REPLICA else PRIMARY
        self._prefix = keys.prefix_of(drill_id).encode()
        self._seen = dict.fromkeys(range(arguments.lanes), NO_SEQ)

    def standby(self, timeout_s: float, stopped: Stopped) -> Session:
        """A connection to a replica."""
        return self._client.find(STANDBY, timeout_s, patient=True, stopped=stopped)

    def other(self, timeout_s: float, stopped: Stopped) -> Session:
        """A connection to the primary; to any server where a replica is wanted."""
        return self._client.find(self._other, timeout_s, patient=True, stopped=stopped)

    def is_standby(self, session: Session) -> bool:
        """Whether a server is a replica."""
        return bool(finding.why_not(session, PRIMARY))

    def newest(self, session: Session) -> list[tuple[int, int]]:
        """Of each stream the newest seq whose key was seen."""
        wanted = [
            (stream, seq)
            for stream in self._seen
            for seq in candidates(self._writing.newest(stream), self._seen[stream])
        ]
        questions = [(b"EXISTS", keys.ledger_key(self._prefix, stream, seq)) for stream, seq in wanted]
        answers = session.do_all(questions, ANSWER_S) if questions else []
        for (stream, seq), there in zip(wanted, answers, strict=True):
            if there:
                self._seen[stream] = max(self._seen[stream], seq)
        return list(self._seen.items())


class RegisterSource:
    """The `Source` of register reads: the primary, or a replica and nothing else."""

    def __init__(self, arguments: Arguments, layout: RegisterLayout, client: Client) -> None:
        self._client = client
        self._layout = layout
        self._role = STANDBY if arguments.read_from == REPLICA else PRIMARY
        self._answer_s = arguments.answer_timeout_s
        self._session: Session | None = None

    def read(self, register: int, stopped: Callable[[], bool]) -> int:
        """The seq that the register holds, `NO_SEQ` if it holds nothing. Raises `DrillError`."""
        session = self._session or self._client.find(self._role, FIND_S, patient=True, stopped=stopped)
        self._session = session
        asked = [(b"ROLE",), self._layout.asked(register)]
        try:
            (role, *_), value = session.do_all(asked, self._answer_s)
            if (role == b"master") != (self._role == PRIMARY):
                raise ServerError(f"{session.address} has changed its role.")
        except ServerError:
            self.close()
            raise
        return self.understood(register, value)

    def understood(self, register: int, value: Reply) -> int:
        """The seq of what was answered, `NO_SEQ` where that is nothing. Raises `ServerError` where it is damaged."""
        if self._layout.is_nothing(value):
            return NO_SEQ
        seq = self._layout.seq_in(register, value)
        if seq == NO_SEQ:
            raise ServerError(f"register {register} is damaged.")
        return seq

    def close(self) -> None:
        """Hang up."""
        if self._session is not None:
            self._session.close()
            self._session = None
