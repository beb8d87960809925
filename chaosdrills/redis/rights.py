"""What a drill's user must be allowed to do, found out before anything is written.

ACL DRYRUN would need a right of its own; so each command is tried as it does nothing: on a key that is not there, with
no replica to wait for. A server looks at rights first.
"""

import re
from collections.abc import Mapping, Sequence

from chaosdrills.errors import UsageError
from chaosdrills.redis.client import ReplyError, ServerError, Session, code_of, said

ASK_S = 5.0
NO_CLIENT = 2**62
WAITS = {"WAIT": ("WAIT", 0, 1), "WAITAOF": ("WAITAOF", 0, 0, 1)}
_ON_KEYS = re.compile(r"\bkeys?\b")

Words = Sequence[str | bytes | int]


def trials(key: bytes, name: str, acknowledgement: str = "") -> dict[str, Words]:
    """The commands of any drill by what ACL calls them; `acknowledgement` is one of `WAITS`, or empty."""
    found: dict[str, Words] = {
        "role": ("ROLE",),
        "info": ("INFO", "server"),
        "client|setname": ("CLIENT", "SETNAME", name),
        "client|id": ("CLIENT", "ID"),
        "client|list": ("CLIENT", "LIST", "TYPE", "pubsub"),
        "client|kill": ("CLIENT", "KILL", "ID", NO_CLIENT),
        "scan": ("SCAN", 0, "MATCH", key, "COUNT", 1),
        "exists": ("EXISTS", key),
        "pttl": ("PTTL", key),
        "unlink": ("UNLINK", key),
    }
    return found | ({acknowledgement.lower(): WAITS[acknowledgement]} if acknowledgement else {})


def require_commands(session: Session, commands: Mapping[str, Words], pattern: str) -> None:
    """Raise `UsageError` naming what of `commands` the user may not do, and what mends it; `ServerError` for all else.

    `pattern` is that of the keys that the commands are on.
    """
    answers = session.try_all(list(commands.values()), ASK_S)
    lacking, keys = [], False
    for command, answer in zip(commands, answers, strict=True):
        if not isinstance(answer, ReplyError):
            continue
        if code_of(answer) != "NOPERM":
            raise ServerError(f"{session.address} refuses {command.upper()}: {said(answer)}.", code_of(answer))
        keys = keys or _is_of_keys(answer)
        lacking += [] if _is_of_keys(answer) else [command]
    if lacking or keys:
        raise _lacks(session, lacking, pattern if keys else "")


def _is_of_keys(answer: ReplyError) -> bool:
    """Whether it is not the command but its key that is not allowed."""
    return _ON_KEYS.search(str(answer)) is not None and "the '" not in str(answer)


def _lacks(session: Session, commands: list[str], pattern: str) -> UsageError:
    (told,) = session.try_all([("ACL", "WHOAMI")], ASK_S)
    user = told.decode() if isinstance(told, bytes) else session.user or "default"
    parts = [f"may not run {', '.join(commands)}"] if commands else []
    parts += [f"has no right to keys {pattern}"] if pattern else []
    rules = [*([f"~{pattern}"] if pattern else []), *(f"+{it}" for it in commands)]
    return UsageError(
        f"the user {user} of {session.address} {' and '.join(parts)}, as a drill does.",
        f"have an administrator run this on every server: ACL SETUSER {user} {' '.join(rules)}",
    )
