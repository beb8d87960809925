"""Users and passwords of a Redis lab: who may do what at servers and at sentinels, where the lab has the option `acl`.

Passwords are made anew for each lab and go with its data. The nodes' files of settings hold those that they need
themselves, and of others only a hash; the drill's own, and that of who may do everything (for people and tests), lie in
files beside them. Without a password nobody is let in.
"""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from chaosdrills.host.files import write_private
from chaosdrills.lab.redis_settings import MASTER

USER, ADMIN, REPLICA, SENTINEL, PEER = "drill", "admin", "replica", "sentinel", "peer"
PREFIX = "chaosdrills:"
# What a drill does at a server: write and read its own keys, and look at all else. Not in them: FLUSHALL.
DRILLS = (
    f"resetkeys ~{PREFIX}* resetchannels &{PREFIX}* -@all +@read +@write +@connection +@transaction -@dangerous "
    "+client|id +client|getname +client|setname +client|list +client|kill +config|get +info +lastsave +role "
    "+select +wait"
)
# What Redis's documentation asks for, for a server that follows and for sentinels.
FOLLOWS = "-@all +psync +replconf +ping"
WATCHES = (
    "resetchannels allchannels -@all +multi +slaveof +replicaof +ping +exec +subscribe +config|rewrite +role +publish "
    "+info +client|setname +client|kill +script|kill"
)
ASKED = ("get-master-addr-by-name", "master", "masters", "replicas", "slaves", "sentinels", "ckquorum", "failover")
ASKS = " ".join(["-@all +@connection +info +role", *(f"+sentinel|{name}" for name in ASKED)])
AGREES = "resetchannels allchannels -@all +ping +publish +subscribe +sentinel +client|setname"
EVERYTHING = "~* allchannels +@all"


@dataclass(frozen=True)
class Passwords:
    """Of the drill at servers and at sentinels, of the administrator, and of the nodes among themselves."""

    drill: str = field(repr=False)
    drill_sentinel: str = field(repr=False)
    admin: str = field(repr=False)
    replica: str = field(repr=False)
    sentinel: str = field(repr=False)
    peer: str = field(repr=False)

    @staticmethod
    def made() -> "Passwords":
        """New ones."""
        return Passwords(*(secrets.token_urlsafe(24) for _ in fields(Passwords)))

    def server_lines(self) -> Iterator[str]:
        """What a server is told: whom it lets in, and who it is itself where it follows."""
        yield "user default off"
        yield _user(USER, self.drill, DRILLS)
        yield _user(ADMIN, self.admin, EVERYTHING)
        yield _user(REPLICA, self.replica, FOLLOWS)
        yield _user(SENTINEL, self.sentinel, WATCHES)
        yield f"masteruser {REPLICA}"
        yield f"masterauth {self.replica}"

    def sentinel_lines(self) -> Iterator[str]:
        """What a sentinel is told: whom it lets in, and who it is to servers and to other sentinels."""
        yield "user default off"
        yield _user(USER, self.drill_sentinel, ASKS)
        yield _user(ADMIN, self.admin, EVERYTHING)
        yield _user(PEER, self.peer, AGREES)
        yield f"sentinel auth-user {MASTER} {SENTINEL}"
        yield f"sentinel auth-pass {MASTER} {self.sentinel}"
        yield f"sentinel sentinel-user {PEER}"
        yield f"sentinel sentinel-pass {self.peer}"

    def write(self, folder: Path) -> None:
        """Put down those that people and drills need."""
        for path, password in (
            (passfile(folder), self.drill),
            (sentinel_passfile(folder), self.drill_sentinel),
            (admin_passfile(folder), self.admin),
        ):
            write_private(path, f"{password}\n")


def passfile(folder: Path) -> Path:
    """The file with the drill's password at servers."""
    return folder / USER


def sentinel_passfile(folder: Path) -> Path:
    """The file with the drill's password at sentinels."""
    return folder / f"{USER}-{SENTINEL}"


def admin_passfile(folder: Path) -> Path:
    """The file with the password of who may do everything, everywhere."""
    return folder / ADMIN


def _user(name: str, password: str, rights: str) -> str:
    return f"user {name} on #{hashlib.sha256(password.encode()).hexdigest()} {rights}"
