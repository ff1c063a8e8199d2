"""HEAD answers as GET does, without the body (RFC 9110 9.3.2), on every path that GET has."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, ListedMailServer, MailServer, Sender
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.use_cases.mail_servers import SERVERS_PER_PAGE

from support.databases import LocalStore, fill, new_file
from support.fakes import ScriptedProber
from support.live_service import live
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN, build_service
from support.timeouts import GUARD_SECONDS

DISCOVERY = "/cxrestapi/auth/identity/.well-known/openid-configuration"
PATHS = ["/health/live", "/health/ready", "/docs", "/docs/docs.js", "/openapi.json", "/openapi/checkmarx.json"]
PATHS += ["/", "/nothing", "/docs/nothing", DISCOVERY, f"{DISCOVERY}/jwks", "/audit", "/metrics"]
PATHS += [MAIL_SERVER, SMTP_SETTINGS, f"{SMTP_SETTINGS}/1", f"{SMTP_SETTINGS}/9", f"{SMTP_SETTINGS}/x"]
CHANGES = {"date", "x-request-id", "opc-request-id"}
ADMIN = {"Authorization": "Bearer admin"}
RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    store = LocalStore(new_file(tmp_path_factory.mktemp("head") / "data" / "mailsettings.db"))
    fill(store.url, 1)
    return store


@pytest.fixture(scope="module")
def origin(store: LocalStore) -> Iterator[str]:
    with live(build_service(store, ScriptedProber())) as served:
        yield served


def ask(origin: str, method: str, path: str, headers: dict[str, str]) -> Answer:
    """Status, the headers that stay the same from answer to answer, and the body."""
    with closing(HTTPConnection(urlsplit(origin).netloc, timeout=GUARD_SECONDS)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        shown = {name: value for name, value in answer.getheaders() if name not in CHANGES}
        body = answer.read()
        # Bytes of a body after a HEAD would be read as the next answer.
        connection.request("GET", "/health/live")
        assert connection.getresponse().read() == b'{"status":"live"}'
        return answer.status, shown, body


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, ADMIN], ids=["stranger", "admin"])
def test_head_has_the_status_and_headers_of_get(origin: str, path: str, headers: dict[str, str]) -> None:
    status, shown, body = ask(origin, "GET", path, headers)
    head = ask(origin, "HEAD", path, headers)
    if path == "/metrics" and status == 200:  # the figures have changed meanwhile, and their number of digits
        del shown["content-length"], head[1]["content-length"]
    else:
        assert shown["content-length"] == str(len(body))

    assert head == (status, shown, b"")
    assert status in {200, 307, 400, 401, 404}


@pytest.mark.parametrize("headers", [{}, ADMIN], ids=["stranger", "admin"])
def test_head_is_a_405_where_get_is_one(origin: str, headers: dict[str, str]) -> None:
    status, shown, _ = ask(origin, "HEAD", TOKEN, headers)

    assert (status, shown["allow"]) == (405, "POST")


def test_head_of_what_the_client_has_is_a_304(origin: str) -> None:
    tag = ask(origin, "GET", MAIL_SERVER, ADMIN)[1]["etag"]

    status, shown, body = ask(origin, "HEAD", MAIL_SERVER, ADMIN | {"If-None-Match": tag})

    assert (status, shown["etag"], body) == (304, tag, b"")


def test_head_of_a_long_list_reads_one_page(local_store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, listed = [], SQLMailServers.listed

    async def counted(servers: SQLMailServers, after: int, limit: int) -> Sequence[ListedMailServer]:
        pages.append(after)
        return await listed(servers, after, limit)

    monkeypatch.setattr(SQLMailServers, "listed", counted)
    fill(local_store.url, 3 * SERVERS_PER_PAGE)
    with live(build_service(local_store, ScriptedProber())) as origin:
        status, shown, body = ask(origin, "HEAD", SMTP_SETTINGS, ADMIN)

    assert (status, shown["content-type"], body) == (200, "application/json; v=1.0; charset=utf-8", b"")
    assert pages == [0]
