"""Connection strings: what is understood, what is refused, and that no secret is shown."""

import pytest

from chaosdrills.errors import DrillError, UsageError
from chaosdrills.timescaledb.client import parsed
from chaosdrills.timescaledb.dsn import Dsn, Host, addresses

SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me@one:5432,two:5433/orders",
        "postgres://me@one,two:5433/orders",
        "host=one,two port=5432,5433 user=me dbname=orders",
    ],
)
def test_hosts_and_ports_in_every_form(text: str) -> None:
    dsn = Dsn.of(text)
    assert dsn.hosts == (Host("one", dsn.hosts[0].port), Host("two", "5433"))
    assert dsn.addresses == "one:5432,two:5433"
    assert addresses(text) == {"one:5432", "two:5433"}
    assert dsn.parameters == {"user": "me", "dbname": "orders"}


def test_one_port_is_for_all_hosts_and_none_is_the_default() -> None:
    assert Dsn.of("host=a,b,c port=7").addresses == "a:7,b:7,c:7"
    assert Dsn.of("host=a,b").addresses == "a:5432,b:5432"
    assert Dsn.of("dbname=x").addresses == "localhost:5432"
    assert Dsn.of("hostaddr=10.0.0.1,10.0.0.2 host=a,b").hosts == (
        Host("a", "", "10.0.0.1"),
        Host("b", "", "10.0.0.2"),
    )


def test_a_connection_string_for_one_host() -> None:
    dsn = Dsn.of("postgresql://me:hun'ter\\2@one,two/or%20ders?keepalives_idle=9", {"sslmode": "require"})
    found = parsed(dsn.conninfo(dsn.hosts[1], "a drill").decode())
    assert found == {
        "host": "two",
        "port": "5432",
        "user": "me",
        "password": "hun'ter\\2",
        "dbname": "or ders",
        "sslmode": "require",
        "application_name": "a drill",
        "client_encoding": "UTF8",
        "tcp_user_timeout": "4000",
        "keepalives_idle": "9",
        "keepalives_interval": "1",
        "keepalives_count": "3",
    }
    plain = parsed(dsn.conninfo(dsn.all_at_once, "a drill", "plain", target_session_attrs="read-write").decode())
    assert (plain["host"], plain["port"], plain["target_session_attrs"]) == ("one,two", "5432,5432", "read-write")
    assert "tcp_user_timeout" not in plain


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no PostgreSQL connection string"),
        (None, "there is no PostgreSQL connection string"),
        (f"postgresql://me:{SECRET}@one:port/x?nonsense=1", "cannot be understood"),
        (f"postgresql://me:{SECRET}@one:port/x", "is no port"),
        (f"password={SECRET} host", "cannot be understood"),
        (f"host=a,b port=1,2,3 password={SECRET}", "hosts and ports do not match"),
        (f"service=x password={SECRET}", "sets service"),
        (f"host=a target_session_attrs=any password={SECRET}", "sets target_session_attrs"),
        (f"host=a replication=database password={SECRET}", "sets replication"),
    ],
)
def test_what_cannot_be_used_is_refused_without_its_secret(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        Dsn.of(text)
    assert caught.value.hint
    assert SECRET not in str(caught.value)


def test_a_secret_is_shown_by_nothing() -> None:
    dsn = Dsn.of(f"postgresql://me:{SECRET}@one/x")
    assert SECRET not in repr(dsn)
    with pytest.raises(DrillError) as caught:
        Dsn.of(f"postgresql://me:{SECRET}@one/x", {"service": "y"})
    assert SECRET not in str(caught.value)


def test_a_name_is_looked_up_before_libpq_is_asked() -> None:
    found = Dsn.of("host=localhost,127.0.0.1,no-such-host.invalid port=5432").resolved()
    assert Host("localhost", "5432", "127.0.0.1") in found
    assert Host("127.0.0.1", "5432") in found
    assert Host("no-such-host.invalid", "5432") in found
