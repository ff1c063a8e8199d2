"""Rejected certificates: the reason, the presented chain and advice, and never a login."""

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.connection_test import FailureCode, ProbeReport, ProbeStage
from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    NoAuthentication,
    PasswordAuthentication,
)
from mailsettings.domain.observation import TLSSession
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret
from mailsettings.smtp.tls import TLSContexts

from support.certificates import SelfSigned
from support.smtp_server import AUTHORITY, HOST, USERNAME, Behaviour, real_server

CANARY = "canary-password-9e21"
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))
ENCRYPTED = [ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS]
NAME = "mail.example.org"
NOW = datetime.now(UTC)
INTERMEDIATE = AUTHORITY.create_child_ca()


def incomplete() -> Any:
    """A certificate below an intermediate authority, presented without it."""
    leaf = INTERMEDIATE.issue_cert(NAME)
    return SelfSigned(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())


CASES: dict[str, tuple[Any, FailureCode, Setting, str]] = {
    "expired": (
        AUTHORITY.issue_cert(NAME, not_before=NOW - timedelta(30), not_after=NOW - timedelta(2)),
        FailureCode.TLS_CERTIFICATE_EXPIRED,
        Setting.HOST,
        f"expired on {NOW - timedelta(2):%Y-%m-%d}",
    ),
    "not yet valid": (
        AUTHORITY.issue_cert(NAME, not_before=NOW + timedelta(2), not_after=NOW + timedelta(30)),
        FailureCode.TLS_CERTIFICATE_NOT_YET_VALID,
        Setting.HOST,
        f"is valid from {NOW + timedelta(2):%Y-%m-%d}",
    ),
    "self-signed": (
        SelfSigned.for_name(NAME),
        FailureCode.TLS_CERTIFICATE_SELF_SIGNED,
        Setting.CERTIFICATE,
        "SHA-256 ",
    ),
    "wrong name": (
        AUTHORITY.issue_cert("other.example.org"),
        FailureCode.TLS_NAME_MISMATCH,
        Setting.HOST,
        "it is for other.example.org",
    ),
    "only the address": (
        AUTHORITY.issue_cert(HOST),
        FailureCode.TLS_NAME_MISMATCH,
        Setting.HOST,
        f"it is for {HOST}",
    ),
    "wildcard of another level": (
        AUTHORITY.issue_cert("*.mail.example.org"),
        FailureCode.TLS_NAME_MISMATCH,
        Setting.HOST,
        "it is for *.mail.example.org",
    ),
    "another authority": (
        trustme.CA(organization_name="Somebody else").issue_cert(NAME),
        FailureCode.TLS_ISSUER_UNKNOWN,
        Setting.CERTIFICATE,
        "issued by ",
    ),
    "chain incomplete": (incomplete(), FailureCode.TLS_ISSUER_UNKNOWN, Setting.CERTIFICATE, "issued by "),
}


@pytest.mark.parametrize("security", ENCRYPTED)
@pytest.mark.parametrize(
    ("certificate", "code", "setting", "words"),
    [pytest.param(*row, id=name, marks=pytest.mark.shows(row[1])) for name, row in CASES.items()],
)
async def test_a_rejected_certificate_is_shown_with_the_reason(
    make_prober: Any,
    security: ConnectionSecurity,
    certificate: Any,
    code: FailureCode,
    setting: Setting,
    words: str,
) -> None:
    report, attempts = await probe(make_prober, security, certificate)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (code, ProbeStage.SECURE)
    assert report.failure.changes[0].setting is setting
    assert words in report.failure.explanation
    assert attempts == []
    tls = presented(report)
    pem = certificate.cert_chain_pems[0].bytes().decode()
    assert ssl.PEM_cert_to_DER_cert(tls.chain[0].pem) == ssl.PEM_cert_to_DER_cert(pem)


@pytest.mark.parametrize("security", ENCRYPTED)
@pytest.mark.parametrize("name", ["self-signed", "another authority", "chain incomplete"])
async def test_the_suggested_certificate_works_once_trusted(
    make_prober: Any, security: ConnectionSecurity, name: str
) -> None:
    certificate = CASES[name][0]
    refused, _ = await probe(make_prober, security, certificate)
    assert refused.failure is not None
    suggested = refused.failure.changes[0].suggested
    assert isinstance(suggested, str)
    taken, _ = await probe(make_prober, security, certificate, CustomTrust.parse(suggested))

    assert taken.succeeded


@pytest.mark.shows(FailureCode.TLS_CERTIFICATE_INVALID)
async def test_a_certificate_for_another_purpose_has_openssls_message(make_prober: Any) -> None:
    certificate = SelfSigned.for_name(NAME, ExtendedKeyUsageOID.CLIENT_AUTH)
    trust = CustomTrust(certificate.pem.decode())
    report, attempts = await probe(make_prober, ENCRYPTED[0], certificate, trust)

    assert report.failure is not None
    assert report.failure.code is FailureCode.TLS_CERTIFICATE_INVALID
    assert "purpose" in report.failure.explanation
    assert attempts == []


@pytest.mark.parametrize(
    ("login", "names", "suggested"),
    [
        (NoAuthentication(), ["*.example.net", "mx.example.net"], "mx.example.net"),
        (NoAuthentication(), ["*.example.net"], None),
        (LOGIN, ["mx.example.net"], None),
    ],
)
async def test_a_certificates_name_is_suggested_only_without_a_login(
    make_prober: Any, login: Authentication, names: list[str], suggested: str | None
) -> None:
    """An attacker can present any name; the login must not follow it."""
    certificate = AUTHORITY.issue_cert(*names)
    report, _ = await probe(make_prober, ENCRYPTED[0], certificate, login=login)

    assert report.failure is not None
    change = report.failure.changes[0]
    assert (change.setting, change.current, change.suggested) == (Setting.HOST, NAME, suggested)


async def test_a_stray_certificate_in_the_chain_is_not_suggested(make_prober: Any) -> None:
    own, stray = SelfSigned.for_name(NAME), SelfSigned.for_name("stray.example")
    report, _ = await probe(make_prober, ENCRYPTED[0], SelfSigned(own.pem + stray.pem, own.key))

    assert report.failure is not None
    assert report.failure.code is FailureCode.TLS_CERTIFICATE_SELF_SIGNED
    suggested = report.failure.changes[0].suggested
    assert isinstance(suggested, str)
    assert ssl.PEM_cert_to_DER_cert(suggested) == ssl.PEM_cert_to_DER_cert(own.pem.decode())


# mail.example.or, and a name of a rare kind: [3], an X.400 address.
X400 = x509.UnrecognizedExtension(
    x509.oid.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x17\x82\x0fmail.example.or\xa3\x04abcd"
)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("security", ENCRYPTED)
async def test_a_malformed_certificate_is_not_an_internal_error(
    make_prober: Any, security: ConnectionSecurity, trusted: bool
) -> None:
    certificate = SelfSigned.for_name("mail.example.or", extra=X400)
    trust = CustomTrust(certificate.pem.decode()) if trusted else None
    report, _ = await probe(make_prober, security, certificate, trust, host="mail.example.or")

    assert report.succeeded == trusted
    assert presented(report).chain[0].names == ()


async def test_a_name_only_in_the_subject_is_reported(make_prober: Any) -> None:
    """wg-gen-web#79. RFC 9525 2: only subjectAltName counts."""
    certificate = SelfSigned.for_name("old.example.org", extra=x509.SubjectKeyIdentifier(b"k" * 20))
    report, _ = await probe(make_prober, ENCRYPTED[0], certificate, CustomTrust(certificate.pem.decode()))

    assert report.failure is not None
    assert report.failure.code is FailureCode.TLS_NAME_MISMATCH
    assert "CN=old.example.org" in report.failure.explanation
    assert "subjectAltName is missing" in report.failure.explanation


async def test_an_authority_without_key_usage_can_be_trusted(make_prober: Any) -> None:
    """As `openssl req -x509` makes them; Python 3.13 would refuse it by default."""
    authority = SelfSigned.for_name("Our own authority", authority=True)
    leaf = authority.issue(NAME)
    report, _ = await probe(make_prober, ENCRYPTED[1], leaf, CustomTrust(authority.pem.decode()))

    assert report.succeeded


@pytest.mark.parametrize("names", [[NAME], ["*.example.org"], ["other.example", NAME]], ids=" ".join)
async def test_a_valid_certificate_passes_and_is_described(make_prober: Any, names: list[str]) -> None:
    certificate = AUTHORITY.issue_cert(*names)
    report, attempts = await probe(make_prober, ENCRYPTED[1], certificate)

    assert report.succeeded
    assert attempts == ["PLAIN"]
    tls = presented(report)
    assert tls.version == "TLSv1.3"
    assert set(tls.chain[0].names) == set(names)
    assert len(tls.chain[0].sha256) == 64
    assert tls.chain[0].not_before < NOW < tls.chain[0].not_after


async def test_a_chain_with_its_intermediate_passes(make_prober: Any) -> None:
    report, _ = await probe(make_prober, ENCRYPTED[0], INTERMEDIATE.issue_cert(NAME))

    assert report.succeeded
    assert len(presented(report).chain) == 2


async def test_given_certificates_are_the_only_ones_trusted(make_prober: Any) -> None:
    """Case 30."""
    other = trustme.CA()
    trust = CustomTrust(other.cert_pem.bytes().decode())
    report, attempts = await probe(make_prober, ENCRYPTED[0], AUTHORITY.issue_cert(NAME), trust)

    assert report.failure is not None
    assert report.failure.code is FailureCode.TLS_ISSUER_UNKNOWN
    assert attempts == []


async def test_many_tests_share_one_context(make_prober: Any) -> None:
    trust = TLSContexts()
    prober = make_prober(trust=trust)
    async with real_server(Behaviour(ENCRYPTED[1])) as server:
        settings = replace(server.settings(ENCRYPTED[1]), trust=SystemTrust())
        await asyncio.gather(*(prober.probe(settings, None) for _ in range(3)))

    assert trust.cached.cache_info().misses == 1


async def probe(
    make_prober: Any,
    security: ConnectionSecurity,
    certificate: Any,
    trust: CustomTrust | None = None,
    login: Authentication = LOGIN,
    host: str = NAME,
) -> tuple[ProbeReport, list[str]]:
    """The report on a server of the name *host* with *certificate*, and the logins that it saw."""
    prober = make_prober(resolve=lambda _host: [ip_address(HOST)])
    async with real_server(Behaviour(security, CANARY, certificate=certificate)) as server:
        settings = server.settings(security, login, host=host)
        report = await prober.probe(replace(settings, trust=trust) if trust else settings, None)
    return report, server.attempts


def presented(report: ProbeReport) -> TLSSession:
    return next(stage.observed.tls for stage in report.stages if stage.observed.tls)
