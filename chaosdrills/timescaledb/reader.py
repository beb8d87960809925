"""Where the reader beside the load looks how far each stream of the ledger has come: on a standby, or the primary."""

from chaosdrills.core.history import NO_SEQ
from chaosdrills.observe.log_reader import Stopped
from chaosdrills.timescaledb import finding, ledger
from chaosdrills.timescaledb.arguments import PRIMARY, Arguments
from chaosdrills.timescaledb.client import Session
from chaosdrills.timescaledb.finding import ANY, STANDBY, Client

ANSWER_S = 1.0


class LedgerSource:
    """`chaosdrills.observe.log_reader.Source` of a ledger."""

    def __init__(self, arguments: Arguments, client: Client) -> None:
        self._client = client
        self._other = finding.PRIMARY if arguments.read_from == PRIMARY else ANY
        self._sql = (
            f"SELECT s, (SELECT max(seq) FROM {arguments.schema}.{ledger.TABLE} WHERE stream = s) "
            f"FROM generate_series(0, {arguments.connections - 1}) AS s"
        )

    def standby(self, timeout_s: float, stopped: Stopped) -> Session:
        """A connection to a standby."""
        return self._client.find(STANDBY, timeout_s, patient=True, stopped=stopped)

    def other(self, timeout_s: float, stopped: Stopped) -> Session:
        """A connection to the primary; to any server where a standby is wanted."""
        return self._client.find(self._other, timeout_s, patient=True, stopped=stopped)

    def is_standby(self, session: Session) -> bool:
        """Whether a server is in recovery."""
        return finding.is_standby(session)

    def newest(self, session: Session) -> list[tuple[int, int]]:
        """Of each stream the newest seq."""
        rows = session.query(self._sql, ANSWER_S)
        return [(int(stream or 0), NO_SEQ if text is None else int(text)) for stream, text in rows]
