"""URLs that name several PostgreSQL servers as libpq writes them, which SQLAlchemy reads in its own form only.

`postgresql://user@first:5432,second:5433/name`, for a primary and its standbys; see "Specifying Multiple Hosts" in
the manual of libpq.
"""

import re

from sqlalchemy.engine import URL, make_url

_SEVERAL = re.compile(r"(?P<before>postgresql://(?:[^@/]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<after>[/?].*)?")
_HOST = re.compile(r"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>[0-9]*))?")


def read_url(url: str) -> URL:
    """The parts of *url*. Raises `ValueError` and SQLAlchemy's `ArgumentError`, which may repeat it."""
    several = _SEVERAL.fullmatch(url)
    if several is None:
        return make_url(url)
    hosts, ports = zip(*(_host_and_port(part) for part in several["hosts"].split(",")), strict=True)
    # One port is for all hosts, and none is libpq's own.
    named = {"host": ",".join(hosts)} | ({"port": ",".join(ports)} if any(ports) else {})
    return make_url(several["before"] + (several["after"] or "")).update_query_dict(named)


def _host_and_port(part: str) -> tuple[str, str]:
    found = _HOST.fullmatch(part)
    if found is None:
        raise ValueError("no host and port")
    return found["address"] or found["name"] or "", found["port"] or ""
