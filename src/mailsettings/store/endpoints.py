"""Where the database of a URL listens, as its driver reads it: several hosts, `hostaddr` and defaults included."""

from itertools import zip_longest

from psycopg import pq

from mailsettings.store.engine import is_sqlite
from mailsettings.store.several_hosts import read_url

_PORT = "5432"


def endpoints(url: str) -> list[tuple[str, int]]:
    """Host and port of each server; a file and a Unix socket have none. Raises `DatabaseUnsupported`."""
    if is_sqlite(url):
        return []
    parsed = read_url(url).set(drivername="postgresql+psycopg")
    given = {**_defaults(), **parsed.get_dialect()().create_connect_args(parsed)[1]}
    ports = [port or _PORT for port in str(given["port"]).split(",")]
    pairs: list[tuple[str, str]] = []
    for name in ("host", "hostaddr"):
        # One port is for all hosts (libpq, "Specifying Multiple Hosts").
        hosts = str(given[name]).split(",")
        pairs += zip_longest(hosts, ports[: len(hosts)], fillvalue=ports[0])
    return [(host, int(port)) for host, port in pairs if host and not host.startswith(("/", "@"))]


def _defaults() -> dict[str, str]:
    """What libpq takes for what the URL does not say, from its own variables."""
    options = {option.keyword: option.val for option in pq.Conninfo.get_defaults()}
    return {name: (options.get(name.encode()) or b"").decode() for name in ("host", "hostaddr", "port")}
