"""The URL of a database: its kinds and spellings, and what it says about servers and sessions."""

import re
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from psycopg import pq
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mailsettings.store.private_file import require_private


class DatabaseUnsupported(ValueError):
    """The URL cannot be used; `str()` says why and repeats no value of it."""

    def __init__(self, problem: str = "must begin with sqlite:/// or postgresql://") -> None:
        super().__init__(f"The database URL {problem}.")


# The settings add these two to the URL, and the driver does not see them.
_POOLER = "mailsettings_pooler"
_POOL_SIZE = "mailsettings_pool_size"
_OURS = (_POOLER, _POOL_SIZE)
DEFAULT_POOL_SIZE = 15


def is_pooled(url: str) -> bool:
    """Return whether a pooler may give each transaction another session."""
    return _whole(url).query.get(_POOLER) == "transaction"


def pool_size(url: str) -> int:
    """Return how many connections one process opens for transactions, at most."""
    return int(str(_whole(url).query.get(_POOL_SIZE, DEFAULT_POOL_SIZE)))


_SEVERAL = re.compile(r"(?P<before>postgresql://(?:[^@/]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<after>[/?].*)?")
_SOCKET = re.compile(r"(?P<before>postgresql://(?:[^@/]*@)?)(?P<folder>%2[Ff][^@/?:]*)(?P<after>[/?].*)?")
_HOST = re.compile(r"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>[0-9]*))?")


def read_url(url: str) -> URL:
    """Return the parts of *url*. Raises `ValueError` or SQLAlchemy's `ArgumentError`, which may repeat the URL."""
    url = re.sub(r"^postgres://", "postgresql://", url)  # libpq accepts both
    if (socket := _SOCKET.fullmatch(url)) is not None:
        # libpq reads a host that begins with an encoded slash as the folder of a socket.
        parsed = make_url(socket["before"] + (socket["after"] or ""))
        return parsed.update_query_dict({"host": re.sub("%2[Ff]", "/", socket["folder"])})
    several = _SEVERAL.fullmatch(url)
    if several is None:
        return make_url(url)
    hosts, ports = zip(*(_host_and_port(part) for part in several["hosts"].split(",")), strict=True)
    # One port applies to all hosts, and a missing one means libpq's default.
    named = {"host": ",".join(hosts)} | ({"port": ",".join(ports)} if any(ports) else {})
    return make_url(several["before"] + (several["after"] or "")).update_query_dict(named)


def _host_and_port(part: str) -> tuple[str, str]:
    found = _HOST.fullmatch(part)
    if found is None:
        raise ValueError("no host and port")
    return found["address"] or found["name"] or "", found["port"] or ""


def parsed_url(url: str) -> URL:
    """Return the parts of *url* that are for the driver. Raises `DatabaseUnsupported`."""
    return _whole(url).difference_update_query(_OURS)


def _whole(url: str) -> URL:
    try:
        parsed = read_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnsupported from None  # the original repeats the URL
    if parsed.drivername not in {"sqlite", "postgresql"} or not parsed.database:
        raise DatabaseUnsupported
    if parsed.drivername == "postgresql":
        _require_readable(parsed)
    return parsed


def _require_readable(parsed: URL) -> None:
    if "@" in (parsed.host or ""):  # a piece of the password would become the host, and appear in errors
        raise DatabaseUnsupported("has more than one @: write an @ of the user name or password as %40")
    ports = parsed.query.get("port", "")
    if not re.fullmatch("[0-9,]*", ports if isinstance(ports, str) else ",".join(ports)):
        raise DatabaseUnsupported("has a port that is not a number")
    unknown = sorted(set(parsed.query) - {option.keyword.decode() for option in pq.Conninfo.get_defaults()})
    unknown = [name for name in unknown if name not in _OURS]
    if unknown:
        shown = "".join(c for c in unknown[0][:64] if c.isprintable())
        raise DatabaseUnsupported(
            f"has the parameter {shown}, which PostgreSQL does not know; remove it, or correct its spelling"
        )


def is_sqlite(url: str) -> bool:
    """Return whether the database is SQLite."""
    return parsed_url(url).drivername == "sqlite"


def sqlite_file(url: str) -> Path:
    """Return the file of an SQLite database."""
    return Path(parsed_url(url).database or "")


def require_private_file(url: str) -> None:
    """Raise `DatabaseFileExposed` if the database is a file that every user can read or write."""
    if is_sqlite(url):
        require_private(sqlite_file(url))


def accepts_standby(url: str) -> bool:
    """Return whether the URL asks for servers other than a primary."""
    return parsed_url(url).query.get("target_session_attrs", "primary") not in {"primary", "read-write"}


def location(url: str) -> str:
    """Return where the database is, for people to read, without user name and password."""
    parsed = parsed_url(url)
    if is_sqlite(url):
        return f"at {parsed.database}"
    hosts, ports = parsed.query.get("host", parsed.host or ""), parsed.query.get("port", parsed.port or "")
    where = ":".join(str(part) for part in (hosts, ports) if part)
    return f"named {parsed.database} at {where}" if where else f"named {parsed.database}"


def driver_arguments(parsed: URL) -> dict[str, Any]:
    """Return the arguments of the driver's connect."""
    url = parsed.set(drivername="postgresql+psycopg")
    return dict(url.get_dialect()().create_connect_args(url)[1])


_PORT = "5432"


def endpoints(url: str) -> list[tuple[str, int]]:
    """Return host and port of each server; none for a file or Unix socket. Raises `DatabaseUnsupported`."""
    if is_sqlite(url):
        return []
    given: Mapping[str, Any] = {**_defaults(), **driver_arguments(parsed_url(url))}
    ports = [port or _PORT for port in str(given["port"]).split(",")]
    pairs: list[tuple[str, str]] = []
    for name in ("host", "hostaddr"):
        # One port applies to all hosts (libpq, "Specifying Multiple Hosts").
        hosts = str(given[name]).split(",")
        pairs += zip_longest(hosts, ports[: len(hosts)], fillvalue=ports[0])
    return [(host, int(port)) for host, port in pairs if host and not host.startswith(("/", "@"))]


def _defaults() -> dict[str, str]:
    """Return libpq's values for what the URL leaves open, from its environment variables."""
    options = {option.keyword: option.val for option in pq.Conninfo.get_defaults()}
    return {name: (options.get(name.encode()) or b"").decode() for name in ("host", "hostaddr", "port")}
