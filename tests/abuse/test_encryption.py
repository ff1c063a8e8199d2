"""Without the encryption in the settings no login is sent."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.values import Secret
from mailsettings.smtp.tls import TLSContexts

from support.smtp_server import (
    AUTHORITY,
    AUTHORITY_PEM,
    HOST,
    SENDER,
    TRUST,
    USERNAME,
    Behaviour,
    real_server,
    scripted_server,
)

CANARY = "canary-1d7e"
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))
STARTTLS, IMPLICIT, NONE = ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS, ConnectionSecurity.NONE
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
CERTIFICATES = {
    "for another name": AUTHORITY.issue_cert("mail.example.org"),
    "expired": AUTHORITY.issue_cert(HOST, not_before=YESTERDAY - timedelta(days=9), not_after=YESTERDAY),
    "of an authority that is not trusted": trustme.CA().issue_cert(HOST),
}


@pytest.mark.parametrize("security", [STARTTLS, IMPLICIT])
@pytest.mark.parametrize("name", CERTIFICATES)
async def test_a_bad_certificate_gets_no_login(make_prober: Any, name: str, security: ConnectionSecurity) -> None:
    """Case 21."""
    behaviour = Behaviour(security, CANARY, certificate=CERTIFICATES[name])
    async with real_server(behaviour) as server:
        report = await make_prober().probe(server.settings(security, LOGIN), "to@example.org")

    assert report.failure is not None
    assert report.failure.code.startswith("tls_")
    assert (server.attempts, server.messages) == ([], [])


@pytest.mark.parametrize("security", [STARTTLS, IMPLICIT])
async def test_given_certificates_take_the_place_of_all_others(
    make_prober: Any, tmp_path: Path, security: ConnectionSecurity
) -> None:
    """Case 30. Only the given certificate counts, not those that the machine trusts."""
    trusted_by_the_machine = tmp_path / "ca.pem"
    trusted_by_the_machine.write_text(AUTHORITY_PEM)
    other = CustomTrust(trustme.CA().cert_pem.bytes().decode())
    prober = make_prober(trust=TLSContexts(trusted_by_the_machine))
    async with real_server(Behaviour(security, CANARY)) as server:
        settings = server.settings(security, LOGIN)
        refused = await prober.probe(replace(settings, trust=other), "to@example.org")
        taken = await prober.probe(replace(settings, trust=SystemTrust()), None)

    assert refused.failure is not None
    assert refused.failure.code is FailureCode.TLS_ISSUER_UNKNOWN
    assert taken.succeeded
    assert len(server.attempts) == 1


async def test_a_given_certificate_that_has_expired_gets_no_login(make_prober: Any) -> None:
    """Case 30. The given certificate must be valid too, not expired."""
    expired = CERTIFICATES["expired"]
    trust = CustomTrust(expired.cert_chain_pems[0].bytes().decode())
    async with real_server(Behaviour(IMPLICIT, CANARY, certificate=expired)) as server:
        report = await make_prober().probe(replace(server.settings(IMPLICIT, LOGIN), trust=trust), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.TLS_CERTIFICATE_EXPIRED
    assert server.attempts == []


OFFERED = {
    "old TLS by STARTTLS": (Behaviour(STARTTLS, CANARY, oldest_tls=True), STARTTLS),
    "old TLS": (Behaviour(IMPLICIT, CANARY, oldest_tls=True), IMPLICIT),
    "no STARTTLS": (Behaviour(NONE, CANARY), STARTTLS),
    "no TLS where it is to begin at once": (Behaviour(NONE, CANARY), IMPLICIT),
    "STARTTLS where TLS is to begin at once": (Behaviour(STARTTLS, CANARY), IMPLICIT),
    "TLS where STARTTLS is to be": (Behaviour(IMPLICIT, CANARY), STARTTLS),
}


@pytest.mark.parametrize("name", OFFERED)
async def test_another_encryption_than_the_settings_gets_no_login(make_prober: Any, name: str) -> None:
    """Case 21."""
    behaviour, security = OFFERED[name]
    async with real_server(behaviour) as server:
        report = await make_prober().probe(server.settings(security, LOGIN), "to@example.org")

    assert report.failure is not None
    assert (server.attempts, server.messages) == ([], [])


@pytest.mark.parametrize("refusal", [b"454 TLS not available", b"502 Not implemented", b"250 Welcome"])
async def test_a_starttls_that_is_refused_gets_no_login(make_prober: Any, refusal: bytes) -> None:
    """Case 21. The server offers STARTTLS, does not do it, and takes any login in clear."""
    heard: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        while line := await reader.readline():
            heard.append(line)
            offers = b"250-mail.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"
            writer.write((refusal if line.startswith(b"STARTTLS") else offers) + b"\r\n")

    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, STARTTLS, SENDER, LOGIN, TRUST)
        report = await make_prober().probe(settings, "to@example.org")

    assert report.failure is not None
    assert b"STARTTLS\r\n" in heard
    assert not any(line.startswith((b"AUTH", b"MAIL")) for line in heard)
