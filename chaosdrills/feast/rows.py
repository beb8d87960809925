"""The registers of a drill as rows of a Feast view: each entity row is one, written over as a stream of features does.

The entity of register n is the text ``chaosdrills:<drill id>:<n in ten digits>``, so that all keys of a drill begin
alike and no row of anybody else's does. Its features are an int64 `SEQ`, a string `PAYLOAD` and an int64 `CHECKSUM`,
sealed as `chaosdrills.observe.payload` says; its event time is when it was written.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaosdrills.core.history import NO_SEQ
from chaosdrills.feast.layout import Row, asked, entities_of, fields_of, row_key, row_of
from chaosdrills.feast.wire import INT64, STRING, Malformed, Value
from chaosdrills.observe.payload import Opener
from chaosdrills.redis import keys as names
from chaosdrills.redis.client import Reply, Session
from chaosdrills.redis.layout import Place, Words

SEQ, PAYLOAD, CHECKSUM = FEATURES = ("seq", "payload", "checksum")
KINDS: Mapping[str, str] = {SEQ: INT64, PAYLOAD: STRING, CHECKSUM: INT64}
DIGITS = 10


@dataclass(frozen=True)
class View:
    """Where rows are written: the project, the view, and the join key of its only entity, a string."""

    project: str = "chaosdrills"
    view: str = "drill_rows"
    entity: str = "drill_row"


class Rows:
    """`chaosdrills.redis.layout.RegisterLayout` of a drill's rows in a view."""

    pattern = f"*{names.ROOT}*"  # keys of Feast begin with bytes of its own

    def __init__(self, drill_id: str, view: View) -> None:
        root = names.prefix_of(drill_id)
        self.described = f"the rows of project {view.project} whose {view.entity} begins with {root}"
        self._drill_id, self._view, self._root = drill_id, view, root
        self._fields = asked(view.view, FEATURES)
        self.prefix = self.key(0)[: -len(view.project.encode()) - DIGITS]

    def key(self, register: int) -> bytes:
        """The key of a register's row."""
        entity = Value(STRING, f"{self._root}{register:0{DIGITS}}")
        return row_key(self._view.project, {self._view.entity: entity})

    def trials(self, key: bytes) -> Mapping[str, Words]:
        """Hashes; that they can be written is tried when one is."""
        return {"hmget": ("HMGET", key, SEQ)}

    def tried(self, key: bytes) -> Words:
        """HSET."""
        return "HSET", key, SEQ, ""

    def place_of(self, key: bytes) -> Place | None:
        """The register whose row it is, and `NO_SEQ`; None for any other key."""
        try:
            entity = entities_of(self._view.project, key).get(self._view.entity, Value())
        except Malformed:
            return None
        digits = str(entity.held).removeprefix(self._root)
        register = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) == DIGITS else -1
        return (register, NO_SEQ) if register >= 0 and self.key(register) == key else None

    def values(self, session: Session, keys: Sequence[bytes], timeout_s: float) -> Sequence[Reply]:
        """What stands in each of these rows."""
        return session.do_all([("HMGET", key, *self._fields) for key in keys], timeout_s)

    def seq_in(self, stream: int, value: Reply) -> int:
        """The seq of a row; `NO_SEQ` if it is not served, or not whole."""
        row = self.row_in(value)
        if row is None or not row.is_served:
            return NO_SEQ
        held = {name: value.held for name, value in zip(FEATURES, row.values, strict=True) if value.kind == KINDS[name]}
        seq, payload, checksum = (str(held.get(name, "")) for name in FEATURES)
        whole = seq.isdecimal() and Opener(self._drill_id, stream).is_whole(seq, payload, checksum)
        return int(seq) if whole else NO_SEQ

    def row_in(self, value: Reply) -> Row | None:
        """The row that was answered; None if it is none."""
        try:
            return row_of(value)
        except Malformed:
            return None

    def written(self, register: int, seq: bytes, checksum: bytes, payload: str) -> Words:
        """HSET of all features and the event time, at once, as Feast does it."""
        features = {
            SEQ: Value(INT64, int(seq)),
            PAYLOAD: Value(STRING, payload),
            CHECKSUM: Value(INT64, int(checksum)),
        }
        fields = fields_of(self._view.view, features, time.time_ns())
        return ["HSET", self.key(register), *(word for field in fields.items() for word in field)]

    def asked(self, register: int) -> Words:
        """HMGET of all features and the event time, as Feast does it."""
        return ["HMGET", self.key(register), *self._fields]

    def is_nothing(self, value: Reply) -> bool:
        """Whether there is nothing of the row."""
        return all(content is None for content in value)
