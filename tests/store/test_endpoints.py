"""Where the database listens, read from its URL as the driver reads it."""

import pytest

from mailsettings.store.database_url import endpoints

LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////data/mailsettings.db", []),
        ("postgresql://u:p@db.example.org/d", [("db.example.org", 5432)]),
        ("postgresql://u:p@10.0.0.1:6432/d", [("10.0.0.1", 6432)]),
        ("postgresql://u@[2001:db8::1]:5432/d", [("2001:db8::1", 5432)]),
        ("postgresql://u@/d?host=a:1&host=b:2", [("a", 1), ("b", 2)]),
        ("postgresql://u@/d?host=a&host=b", [("a", 5432), ("b", 5432)]),
        ("postgresql://u@db:6432/d?hostaddr=10.0.0.1", [("db", 6432), ("10.0.0.1", 6432)]),
        ("postgresql://u:p@a,b/d?target_session_attrs=read-write", [("a", 5432), ("b", 5432)]),
        ("postgresql://u:p@a:1,b:2/d", [("a", 1), ("b", 2)]),
        ("postgresql://u:p@a,b:2/d", [("a", 5432), ("b", 2)]),
        ("postgresql://u@[2001:db8::1]:1,10.0.0.1:2/d", [("2001:db8::1", 1), ("10.0.0.1", 2)]),
        ("postgresql://u@/d?host=/var/run/postgresql", []),
        ("postgresql:///d", []),
        ("postgresql://u:p@%2Fvar%2Frun%2Fpostgresql/d", []),
        ("postgres://u:p@db.example.org:6432/d", [("db.example.org", 6432)]),
        ("postgresql://db/d?mailsettings_pooler=transaction&mailsettings_pool_size=3", [("db", 5432)]),
    ],
)
def test_every_server_of_a_url_is_listed(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: list[tuple[str, int]]
) -> None:
    for name in LIBPQ_VARIABLES:
        monkeypatch.delenv(name, raising=False)

    assert endpoints(url) == expected


def test_servers_from_libpq_variables_are_listed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example.org")
    monkeypatch.setenv("PGPORT", "6432")

    assert endpoints("postgresql:///d") == [("db.example.org", 6432)]
