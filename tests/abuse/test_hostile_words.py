"""Both APIs show a mail server's words as clean text, and never secrets that it echoes."""

import base64
import json
import unicodedata
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from mailsettings.domain.access import OPERATOR
from mailsettings.network.policy import EgressPolicy
from mailsettings.smtp.connector import Connector
from mailsettings.smtp.diagnosis.inspection import KnownPorts
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import TLSContexts
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.accounts import ManageAccounts

from support.canary import Canary
from support.certificates import authority_pem, key_pem
from support.fakes import PlainPasswords
from support.request_bodies import checkmarx_test, oracle
from support.service import ADMIN, MAIL_SERVER, SMTP_SETTINGS, Caller, build_service
from support.smtp_server import HOST, says, scripted_server
from support.token_authority import make_tokens

pytestmark = pytest.mark.parametrize("kind", ["sqlite"])  # no answer here depends on the database

NO_SECURITY = {"connectionSecurityType": "NO_CONNECTION_SECURITY"}
EHLO = b"250-mail.example.org\r\n250 AUTH PLAIN LOGIN"

BANNERS = {
    "SSH": b"SSH-2.0-OpenSSH_9.6",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<html><script>alert(1)</script></html>",
    "bytes that are no text": b"220 \xff\xfe\x80\x00 mail",
    "controls": b"554 \x1b[31mred\x07\x08\x7f\xc2\x85\xe2\x80\xa8line\xe2\x80\xae",
}
ECHOES: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda secret: secret.encode(),
    "in base64": lambda secret: base64.b64encode(secret.encode()),
    "as it was sent": lambda secret: base64.b64encode(f"\0mailer\0{secret}".encode()),
    "in two lines": lambda secret: secret[:20].encode() + b"\r\n535 " + secret[20:].encode(),
    "backwards": lambda secret: secret[::-1].encode(),
}


@pytest.fixture
async def tested(store: SQLStore) -> AsyncIterator[Caller]:
    """The admin's client of a service that really connects, to this machine too."""
    await ManageAccounts(store, PlainPasswords()).add(OPERATOR, ADMIN, "correct horse")
    egress = EgressPolicy((ip_network("127.0.0.0/8"),), None)
    prober = SMTPProber(
        Connector(
            egress,
            ehlo_name=None,
            allow_cleartext_credentials=True,
            trust=TLSContexts(),
            oauth2=make_tokens(),
        ),
        deadline_seconds=10,
        ports=KnownPorts(usual={}),
    )
    transport = httpx.ASGITransport(build_service(store, prober), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as http:
        yield Caller(http)


async def both(api: Caller, password: str, port: int) -> list[httpx.Response]:
    """The same server tested by either API, with the whole report."""
    here = {"host": HOST, "port": port}
    body = oracle(password) | here | {"connectionSecurity": NO_SECURITY}
    assert (await api.send("PUT", MAIL_SERVER, json=body)).is_success
    given = checkmarx_test(password) | here | {"encryptionType": "None"}
    return [
        await api.send("POST", f"{MAIL_SERVER}/actions/test", json={}),
        await api.send("POST", f"{SMTP_SETTINGS}/testconnection", json=given),
    ]


def texts_of(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for member in value.values() for text in texts_of(member)]
        case list():
            return [text for member in value for text in texts_of(member)]
        case _:
            return []


@pytest.mark.parametrize("banner", BANNERS)
async def test_a_strange_greeting_is_told_in_clean_text(tested: Caller, canary: Canary, banner: str) -> None:
    """Case 29."""
    async with scripted_server(says(BANNERS[banner])) as server:
        answers = await both(tested, canary.secret, server.port)

    for answer in answers:
        assert answer.status_code == 400
        texts = texts_of(json.loads(answer.content.decode("utf-8")))
        assert not [text for text in texts if {"Cc", "Cf", "Cs", "Zl"} & set(map(unicodedata.category, text))]
        assert "<script" not in answer.text
        canary.assert_nowhere(answer.content)


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_server_that_repeats_the_password_is_not_repeated(
    tested: Caller, canary: Canary, echo: str
) -> None:
    """Case 29."""
    refusal = b"535 5.7.8 not " + ECHOES[echo](canary.secret)
    async with scripted_server(says(b"220 mail.example.org", EHLO, refusal)) as server:
        answers = await both(tested, canary.secret, server.port)

    assert any(line.startswith(b"AUTH PLAIN") for line in server.heard)
    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["report"]["failure"]["code"] == "smtp_auth_failed"
        canary.assert_nowhere(answer.content, repr(answer.headers))


BAD_CERTIFICATES: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "garbage": lambda: "garbage",
    "a key": key_pem,
    "a key behind a certificate": lambda: authority_pem() + key_pem(),
    "eleven": lambda: authority_pem() * 11,
    "as many as a body holds": lambda: authority_pem() * 75,
}


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
async def test_an_invalid_certificate_is_refused_and_not_repeated(
    tested: Caller, canary: Canary, name: str
) -> None:
    """Case 30."""
    pem = BAD_CERTIFICATES[name]()
    details = {"certificateType": "CUSTOM_TLS_CERTIFICATE", "certificate": pem}
    security = {"connectionSecurityType": "SSL_TLS_CONNECTION_SECURITY", "tlsCertificateDetails": details}

    answer = await tested.send("PUT", MAIL_SERVER, json=oracle(canary.secret) | {"connectionSecurity": security})

    assert answer.status_code == 400
    assert "certificate" in answer.json()["message"]
    assert "BEGIN" not in answer.text
    canary.assert_nowhere(answer.content)
    assert (await tested.send("GET", MAIL_SERVER)).status_code == 404
