"""A connection test ends in a report for every possible content of a certificate."""

import asyncio
import base64
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from mailsettings.domain.connection_test import FailureCode, ProbeStage, WarningCode
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.values import Secret
from mailsettings.smtp import conversation, tls
from mailsettings.smtp.tls import parse_certificates

from support.canary import Canary
from support.certificates import SelfSigned
from support.smtp_server import (
    AUTHORITY,
    HOST,
    SENDER,
    TRUST,
    USERNAME,
    Behaviour,
    listening,
    real_server,
    says,
    scripted_server,
)

ENCRYPTED = [ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS]
NAME = "mail.example.org"
UNKNOWN_TLS_FEATURE = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24"), b"\x30\x03\x02\x01\x63"
)
MUTANTS = 5000
# RFC 2409 6.2
OAKLEY_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
    "49286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)


@pytest.mark.parametrize("security", ENCRYPTED)
async def test_unknown_tls_features_end_in_a_report(make_prober: Any, security: ConnectionSecurity) -> None:
    certificate = SelfSigned.for_name(NAME, extra=UNKNOWN_TLS_FEATURE)
    prober = make_prober(resolve=lambda _host: [ip_address(HOST)])
    async with real_server(Behaviour(security, certificate=certificate)) as server:
        report = await prober.probe(server.settings(security, host=NAME), None)

    assert report.failure is not None
    assert report.failure.stage is ProbeStage.SECURE
    assert report.failure.code is not FailureCode.INTERNAL


def test_mutated_certificates_never_raise() -> None:
    chance = random.Random(8)  # the same mutants in each run
    begin = ssl.PEM_cert_to_DER_cert(SelfSigned.for_name(NAME, extra=UNKNOWN_TLS_FEATURE).pem.decode())
    for _ in range(MUTANTS):
        mutant = bytearray(begin)
        for _ in range(chance.choice((1, 2, 8))):
            place = chance.randrange(len(mutant))
            kind = chance.randrange(3)
            if kind == 0:
                mutant[place] = chance.randrange(256)
            elif kind == 1:
                mutant[place:place] = chance.randbytes(chance.randrange(1, 4))
            else:
                del mutant[place : place + chance.randrange(1, 4)]
        list(parse_certificates([bytes(mutant)]))


def test_an_oversized_certificate_is_not_parsed() -> None:
    der = ssl.PEM_cert_to_DER_cert(AUTHORITY.cert_pem.bytes().decode())

    assert len(list(parse_certificates([der]))) == 1
    assert list(parse_certificates([der.ljust(tls.MAX_CERTIFICATE_BYTES + 1, b"\0")])) == []


@pytest.mark.shows(FailureCode.INTERNAL)
async def test_an_unexpected_error_is_reported_and_logged(
    make_prober: Any, canary: Canary, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure `internal`: the report names the stage, the log has the cause once, and neither has secrets."""

    def breaks(*_arguments: Any) -> None:
        raise RuntimeError(f"unexpected {canary.secret}")

    monkeypatch.setattr(conversation, "identify_protocol", breaks)
    login = PasswordAuthentication(USERNAME, Secret(canary.secret))
    async with scripted_server(says(b"220 mail.example.org")) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, login)
        report = await make_prober().probe(settings, None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.INTERNAL, ProbeStage.GREET)
    [record] = [each for each in caplog.records if "failed unexpectedly" in each.getMessage()]
    assert "RuntimeError: unexpected" in record.getMessage()
    assert "Traceback" in record.getMessage()
    canary.assert_nowhere(repr(report), caplog.text)


@pytest.mark.parametrize("security", ENCRYPTED)
async def test_weak_dhe_is_reported_with_openssls_message(
    make_prober: Any, tmp_path: Path, security: ConnectionSecurity
) -> None:
    """DHE is not used, since the server chooses the group; a second handshake on a thread says what is wrong."""
    (tmp_path / "dh.pem").write_text(dh_parameters(OAKLEY_2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(HOST, key_type=trustme.KeyType.RSA).configure_cert(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("kDHE:@SECLEVEL=0")
    context.load_dh_params(str(tmp_path / "dh.pem"))
    async with served(context, security) as port:
        settings = MailServer(HOST, port, security, SENDER, trust=TRUST)
        report = await make_prober().probe(settings, None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.TLS_KEY_EXCHANGE_WEAK, ProbeStage.SECURE)
    assert "dh key too small" in report.failure.explanation
    assert "1.2" not in report.failure.explanation


def dh_parameters(prime: int) -> str:
    """Return PEM by PKCS #3: a SEQUENCE of the prime and the generator 2."""
    number = prime.to_bytes(prime.bit_length() // 8 + 1, "big")
    inside = b"\x02\x81" + bytes([len(number)]) + number + b"\x02\x01\x02"
    der = b"\x30\x81" + bytes([len(inside)]) + inside
    return f"-----BEGIN DH PARAMETERS-----\n{base64.encodebytes(der).decode()}-----END DH PARAMETERS-----\n"


@asynccontextmanager
async def served(context: ssl.SSLContext, security: ConnectionSecurity) -> AsyncIterator[int]:
    """A mail server that encrypts by *context*."""

    async def starttls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(b"220 mail.example.org", b"250-mail.example.org\r\n250 STARTTLS", b"220 Go ahead")(
            reader, writer
        )
        await writer.start_tls(context)
        await says(b"250 mail.example.org", b"250 OK")(reader, writer)

    implicit = security is ConnectionSecurity.IMPLICIT_TLS
    script = says(b"220 mail.example.org", b"250 mail.example.org", b"250 OK") if implicit else starttls
    async with listening(script, context if implicit else None) as port:
        yield port


async def test_only_certificates_in_the_verified_path_cause_warnings(make_prober: Any) -> None:
    """Servers still present an expired cross-signed root; the verified path does not use it."""
    leaf, root = AUTHORITY.issue_cert(NAME), SelfSigned.for_name("Old root", authority=True)
    now = datetime.now(UTC)
    stray = AUTHORITY.issue_cert("old.example.org", not_before=now - timedelta(9), not_after=now - timedelta(2))
    presented = SelfSigned(
        leaf.cert_chain_pems[0].bytes() + stray.cert_chain_pems[0].bytes() + root.pem, leaf.private_key_pem.bytes()
    )
    prober = make_prober(resolve=lambda _host: [ip_address(HOST)])
    async with real_server(Behaviour(ENCRYPTED[1], certificate=presented)) as server:
        report = await prober.probe(server.settings(ENCRYPTED[1], host=NAME), None)

    assert report.succeeded
    assert WarningCode.CERTIFICATE_EXPIRES_SOON not in {warning.code for warning in report.warnings}


@pytest.mark.parametrize("security", ENCRYPTED)
async def test_a_final_dot_is_ignored_in_certificate_names(make_prober: Any, security: ConnectionSecurity) -> None:
    asked: list[str] = []

    def resolve(host: str) -> list[Any]:
        asked.append(host)
        return [ip_address(HOST)]

    async with real_server(Behaviour(security, certificate=AUTHORITY.issue_cert(NAME))) as server:
        report = await make_prober(resolve=resolve).probe(server.settings(security, host=f"{NAME}."), None)

    assert report.succeeded, report.failure
    assert asked == [f"{NAME}."]  # absolute: no search list


async def test_at_most_six_addresses_are_tried(make_prober: Any) -> None:
    """Both families, first of each in turn; a name can have hundreds."""
    many = [ip_address(f"127.0.1.{number}") for number in range(1, 221)]
    prober = make_prober(resolve=lambda _host: many)
    report = await prober.probe(MailServer("many.example.org", 1, ConnectionSecurity.NONE, SENDER), None)

    assert report.failure is not None
    attempts = next(stage.observed.attempts for stage in report.stages if stage.observed.attempts)
    assert [each.outcome for each in attempts[:7]] == ["failed"] * 6 + ["not_tried"]
    assert 6 < len(attempts) < 40
    assert [each.address for each in attempts[:7]] == [str(address) for address in many[:7]]
