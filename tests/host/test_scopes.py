"""Who is meant by a scope at each listener."""

import pytest

from chaosdrills.host.scopes import is_meant, meant_at

WHO = {
    ("client", "all"): ("clients",),
    ("client", "peers"): (),
    ("client", "clients"): ("clients",),
    ("replication", "all"): ("peers",),
    ("replication", "peers"): ("peers",),
    ("replication", "clients"): (),
    ("sql", "all"): ("clients", "peers"),
    ("sql", "peers"): ("peers",),
    ("sql", "clients"): ("clients",),
    ("etcd", "clients"): (),
    ("redis", "all"): ("clients", "peers"),
    ("sentinel", "peers"): ("peers",),
}


@pytest.mark.parametrize(("where", "who"), WHO.items())
def test_who_is_meant(where: tuple[str, str], who: tuple[str, ...]) -> None:
    assert meant_at(*where) == who


@pytest.mark.parametrize(
    ("listener", "scope", "node", "other"),
    [
        ("sql", "all", True, True),
        ("sql", "peers", True, False),
        ("sql", "clients", False, True),
        ("client", "clients", True, True),
        ("client", "peers", False, False),
        ("etcd", "peers", True, True),
    ],
)
def test_at_a_shared_listener_it_matters_who_has_made_the_connection(
    listener: str, scope: str, node: bool, other: bool
) -> None:
    assert (is_meant(listener, scope, True), is_meant(listener, scope, False)) == (node, other)
