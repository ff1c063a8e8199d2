"""Certificates that do not pass: why, with the presented chain, and what to do; and no login is ever sent."""

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
import trustme
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailsettings.domain.mail_server import ConnectionSecurity, PasswordAuthentication
from mailsettings.domain.observation import TLSSession
from mailsettings.domain.probe import FailureCode, ProbeReport, ProbeStage
from mailsettings.domain.secret import Secret
from mailsettings.domain.setting import Setting
from mailsettings.domain.trust import GivenCertificates, SystemTrust
from mailsettings.smtp.tls import TLSTrust

from certificates import SelfSigned
from smtp_server import AUTHORITY, HOST, USERNAME, Behaviour, real_server

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
        f"good until {NOW - timedelta(2):%Y-%m-%d}",
    ),
    "not yet valid": (
        AUTHORITY.issue_cert(NAME, not_before=NOW + timedelta(2), not_after=NOW + timedelta(30)),
        FailureCode.TLS_CERTIFICATE_NOT_YET_VALID,
        Setting.HOST,
        f"begins on {NOW + timedelta(2):%Y-%m-%d}",
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
async def test_a_certificate_that_does_not_pass_is_shown_with_the_reason(
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
async def test_the_presented_certificate_is_offered_and_works_once_it_is_given(
    make_prober: Any, security: ConnectionSecurity, name: str
) -> None:
    certificate = CASES[name][0]
    refused, _ = await probe(make_prober, security, certificate)
    assert refused.failure is not None
    suggested = refused.failure.changes[0].suggested
    assert isinstance(suggested, str)
    taken, _ = await probe(make_prober, security, certificate, GivenCertificates.parse(suggested))

    assert taken.succeeded


@pytest.mark.shows(FailureCode.TLS_CERTIFICATE_INVALID)
async def test_a_certificate_for_another_purpose_is_told_in_the_librarys_words(make_prober: Any) -> None:
    certificate = SelfSigned.for_name(NAME, ExtendedKeyUsageOID.CLIENT_AUTH)
    trust = GivenCertificates(certificate.pem.decode())
    report, attempts = await probe(make_prober, ENCRYPTED[0], certificate, trust)

    assert report.failure is not None
    assert report.failure.code is FailureCode.TLS_CERTIFICATE_INVALID
    assert "purpose" in report.failure.explanation
    assert attempts == []


async def test_the_name_in_the_certificate_is_suggested_as_the_host(make_prober: Any) -> None:
    report, _ = await probe(make_prober, ENCRYPTED[0], AUTHORITY.issue_cert("*.example.net", "mx.example.net"))

    assert report.failure is not None
    change = report.failure.changes[0]
    assert (change.setting, change.current, change.suggested) == (Setting.HOST, NAME, "mx.example.net")


@pytest.mark.parametrize("names", [[NAME], ["*.example.org"], ["other.example", NAME]], ids=" ".join)
async def test_a_certificate_that_fits_passes_and_is_described(make_prober: Any, names: list[str]) -> None:
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
    other = trustme.CA()
    trust = GivenCertificates(other.cert_pem.bytes().decode())
    report, attempts = await probe(make_prober, ENCRYPTED[0], AUTHORITY.issue_cert(NAME), trust)

    assert report.failure is not None
    assert report.failure.code is FailureCode.TLS_ISSUER_UNKNOWN
    assert attempts == []


async def test_many_tests_share_one_context(make_prober: Any) -> None:
    trust = TLSTrust()
    prober = make_prober(trust=trust)
    async with real_server(Behaviour(ENCRYPTED[1])) as server:
        settings = replace(server.settings(ENCRYPTED[1]), trust=SystemTrust())
        await asyncio.gather(*(prober.probe(settings, None) for _ in range(3)))

    assert trust.made.cache_info().misses == 1


async def probe(
    make_prober: Any,
    security: ConnectionSecurity,
    certificate: Any,
    trust: GivenCertificates | None = None,
) -> tuple[ProbeReport, list[str]]:
    """The report on a server of the name `NAME` with *certificate*, and the logins that it saw."""
    prober = make_prober(resolve=lambda _host: [ip_address(HOST)])
    async with real_server(Behaviour(security, CANARY, certificate=certificate)) as server:
        settings = server.settings(security, LOGIN, host=NAME)
        report = await prober.probe(replace(settings, trust=trust) if trust else settings, None)
    return report, server.attempts


def presented(report: ProbeReport) -> TLSSession:
    return next(stage.observed.tls for stage in report.stages if stage.observed.tls)
