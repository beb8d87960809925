"""Certificates of a Redis lab that speaks TLS: an authority of its own, and one certificate that all nodes show.

They are made anew for each lab, with keys that nobody else has, and go with its data. Clients need none, but one that
shows a certificate must have it of this authority.
"""

from collections.abc import Iterator
from pathlib import Path

from chaosdrills.errors import UnavailableError
from chaosdrills.host.files import write_private
from chaosdrills.host.sockets import LOOPBACK
from chaosdrills.lab.packages import INSTALL
from chaosdrills.lab.redis_settings import quoted

AUTHORITY, CERTIFICATE, KEY = "ca.pem", "node.pem", "node.key"


def make(folder: Path) -> None:
    """Write an authority's certificate, and the nodes' with its key. Raises `UnavailableError` without the library."""
    try:
        import trustme
    except ImportError as error:
        raise UnavailableError(f"certificates cannot be made: {error}.", INSTALL) from error
    authority = trustme.CA(organization_name="chaosdrills lab")
    issued = authority.issue_cert(LOOPBACK, "localhost")
    (certificate,) = issued.cert_chain_pems
    for name, blob in ((AUTHORITY, authority.cert_pem), (CERTIFICATE, certificate), (KEY, issued.private_key_pem)):
        write_private(folder / name, blob.bytes().decode())


def lines(folder: Path) -> Iterator[str]:
    """What a node is told of its certificate, and that it is to speak TLS to others."""
    yield "tls-replication yes"
    yield "tls-auth-clients optional"
    for name, file in (("ca-cert", AUTHORITY), ("cert", CERTIFICATE), ("key", KEY)):
        yield f"tls-{name}-file {quoted(str(folder / file))}"
