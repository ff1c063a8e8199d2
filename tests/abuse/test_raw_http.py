"""Invalid or ambiguous HTTP gets a response below 500 and never hangs."""

import json
import socket
from urllib.parse import urlencode

import httpx
import pytest

from mailsettings.dialects.oracle_analytics.examples import NO_AUTH

from support.raw_http import PATIENCE_SECONDS, Server, everything, exchange, statuses, up_to

MAIL_SERVER = "/api/20210901/system/mail/server"
SETTINGS = "/cxrestapi/auth/SMTPSettings"
TOKEN = "/cxrestapi/auth/identity/connect/token"
H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
HOST = "Host: x\r\nConnection: close\r\n"
TWO_LENGTHS = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(f"POST {SETTINGS} HTTP/1.1\r\n{HOST}{TWO_LENGTHS}", 400, id="TE and CL"),
        pytest.param(
            f"POST {SETTINGS} HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, id="two CL"
        ),
        pytest.param(f"POST {SETTINGS} HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\n", 400, id="CL below 0"),
        pytest.param(
            f"POST {SETTINGS} HTTP/1.1\r\n{HOST}Content-Length: {'9' * 30}\r\n\r\n", 400, id="CL too big"
        ),
        pytest.param(f"POST {SETTINGS} HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip\r\n\r\nab", 400, id="TE gzip"),
        pytest.param(
            f"POST {SETTINGS} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400, id="chunk below 0"
        ),
        pytest.param("GET /docs HTTP/1.1\nHost: x\n\n", 400, id="bare LF"),
        pytest.param("GET /docs HTTP/1.1\r\nHost: x\n\r\n", 400, id="bare LF after a field"),
        pytest.param("GET /docs HTTP/1.1\r\nHost : x\r\n\r\n", 400, id="space before the colon"),
        pytest.param("GET /docs HTTP/1.1\r\nX: y\r\n z\r\nHost: x\r\n\r\n", 400, id="folded field"),
        pytest.param(f"GET /docs HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n", 400, id="NUL in a field"),
        pytest.param("GET /docs\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(f"GET /docs HTTP/0.9\r\n{HOST}\r\n", 400, id="HTTP/0.9 by its name"),
        pytest.param(f"GET /docs HTTP/2.0\r\n{HOST}\r\n", 400, id="HTTP/2.0 by its name"),
        pytest.param("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2 preface"),
        pytest.param(f"GET /docs HTTP/3.7\r\n{HOST}\r\n", 400, id="a version there is not"),
        pytest.param(f"BREW /docs HTTP/1.1\r\n{HOST}\r\n", 400, id="a method there is not"),
        pytest.param(f"CONNECT x:25 HTTP/1.1\r\n{HOST}\r\n", 400, id="CONNECT"),
        pytest.param(f"OPTIONS * HTTP/1.1\r\n{HOST}\r\n", 404, id="OPTIONS *"),
        pytest.param("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS"),
        pytest.param(f"GET http://x/docs HTTP/1.1\r\n{HOST}\r\n", 200, id="absolute target"),
        pytest.param(
            f"GET http://x{MAIL_SERVER} HTTP/1.1\r\n{HOST}\r\n", 401, id="absolute target behind the gate"
        ),
        pytest.param(f"GET http://x HTTP/1.1\r\n{HOST}\r\n", 400, id="absolute target without a path"),
        pytest.param(f"GET //{MAIL_SERVER} HTTP/1.1\r\n{HOST}\r\n", 401, id="two slashes before Oracle's"),
        pytest.param(f"GET /{SETTINGS} HTTP/1.1\r\n{HOST}\r\n", 401, id="two slashes before Checkmarx'"),
        pytest.param(f"GET {SETTINGS}%2f1 HTTP/1.1\r\n{HOST}\r\n", 401, id="%2f"),
        pytest.param(f"GET {SETTINGS}%00 HTTP/1.1\r\n{HOST}\r\n", 401, id="%00"),
        pytest.param(f"GET {SETTINGS}/%ff HTTP/1.1\r\n{HOST}\r\n", 401, id="%ff"),
        pytest.param(f"GET /..{SETTINGS} HTTP/1.1\r\n{HOST}\r\n", 404, id="two dots"),
        pytest.param(f"GET /\xff HTTP/1.1\r\n{HOST}\r\n", 400, id="a target that is not ASCII"),
        pytest.param("GET /docs HTTP/1.0\r\n\r\n", 400, id="HTTP/1.0 without a host"),
        pytest.param("GET /health/live HTTP/1.0\r\n\r\n", 200, id="HTTP/1.0 that asks for our health"),
    ],
)
def test_it_is_answered_once_and_never_by_a_5xx(server: Server, sent: str, expected: int) -> None:
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        connection.sendall(sent.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        answer = everything(connection)

    assert statuses(answer) == [expected]
    assert b"x-content-type-options: nosniff" in answer
    assert httpx.get(f"{server.url}/health/live").status_code == 200


def test_requests_in_a_row_are_answered_in_their_order(server: Server) -> None:
    paths = ["/health/live", MAIL_SERVER, "/nothing", "/docs"] * 5
    head = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths)
    last = f"GET /health/live HTTP/1.1\r\n{HOST}\r\n"

    answers = exchange(server.address, (head + last).encode())

    assert statuses(answers) == [200, 401, 404, 200] * 5 + [200]


def test_a_client_that_expects_100_gets_it(server: Server) -> None:
    body = b'{"host": "x", "port": 25}'
    head = (
        f"POST {SETTINGS} HTTP/1.1\r\n{HOST}Authorization: Bearer {server.token}\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode())
        leave = connection.recv(65536)
        connection.sendall(body)
        answer = everything(connection)

    assert statuses(leave) == [100]
    assert statuses(answer) == [400]
    assert b"fromAddress" in answer


def test_an_upgrade_is_declined_by_an_ordinary_answer(server: Server) -> None:
    upgrade = "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        for _ in range(2):
            connection.sendall(upgrade.encode())
            assert statuses(up_to(connection, b'{"status":"live"}')) == [200]


def test_a_body_behind_an_offered_upgrade_is_read(server: Server) -> None:
    """RFC 9110 7.8: a server may ignore Upgrade. Java's HttpClient offers h2c with each request."""
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in (login("correct horse"), put(server.token), put(server.token)):
            for at in range(0, len(request), 7):
                connection.sendall(request[at : at + 7])
            answer = up_to_end(connection)

            assert statuses(answer) == [200]


def test_body_of_an_upgrade_is_not_a_next_request(server: Server) -> None:
    hidden = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST {SETTINGS} HTTP/1.1\r\nHost: x\r\n{H2C}Connection: close\r\n"

    answer = exchange(server.address, f"{head}Content-Length: {len(hidden)}\r\n\r\n".encode(), hidden)

    assert statuses(answer) == [401]


@pytest.mark.parametrize("keep", ["", "Connection: close\r\n"], ids=["kept alive", "closing"])
def test_a_client_that_closes_its_side_gets_its_answer(server: Server, keep: str) -> None:
    """As `nc -N` does."""
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        connection.sendall(put(server.token, keep))
        connection.shutdown(socket.SHUT_WR)
        answer = everything(connection)

    assert statuses(answer) == [200]


def test_an_oversized_body_is_refused_before_it_is_sent(server: Server) -> None:
    """RFC 9110 10.1.1: the final answer comes in place of 100 (Continue)."""
    head = f"PUT {MAIL_SERVER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
    head += "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n"

    answer = exchange(server.address, head.encode())

    assert statuses(answer) == [413]
    assert b'"code":"PayloadTooLarge"' in answer


def login(password: str) -> bytes:
    form = urlencode({"grant_type": "password", "username": "admin", "password": password})
    head = f"POST {TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n{H2C}"
    return f"{head}Content-Length: {len(form)}\r\n\r\n{form}".encode()


def put(token: str, fields: str = H2C) -> bytes:
    body = json.dumps(NO_AUTH)
    head = f"PUT {MAIL_SERVER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{fields}"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def up_to_end(connection: socket.socket) -> bytes:
    """The next answer with its body, on a connection that stays open."""
    received = connection.recv(65536)
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + body
