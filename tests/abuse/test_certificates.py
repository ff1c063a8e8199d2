"""Certificates that are not as they should be: in a PUT each of them is good or a 400 that names the member.

MUTATED_CERTIFICATES and MUTATED_CERTIFICATES_SEED say how many mutations are tried, and which.
"""

import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mailsettings.domain.certificates import CertificateUnreadable, CustomTrust, read_der, reading
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.setting import Setting
from mailsettings.server.certificate import CertificateUnusable, reloading_tls_context
from mailsettings.smtp.errors import StageFailed
from mailsettings.smtp.tls import TLSContexts

from support.certificates import authority_pem, key_pem
from support.mutated_certificates import (
    GOOD,
    Value,
    mutations,
    pem_of,
    with_broken_extension,
    with_broken_key,
    with_curve,
    with_date,
    with_extension_twice,
    with_length_of_two_bytes,
    with_name,
    with_serial,
    with_unknown_extension,
    with_version,
    with_x400_name,
)
from support.request_bodies import oracle
from support.service import MAIL_SERVER, Caller

COUNT = int(os.environ.get("MUTATED_CERTIFICATES", "4000"))
SEED = int(os.environ.get("MUTATED_CERTIFICATES_SEED", "5280"))
FIELD = "connectionSecurity.tlsCertificateDetails.certificate"
SECRET = "canary-b3c1f2"

REFUSED: dict[str, Callable[[], bytes]] = {
    "version 4": lambda: with_version(3),
    "version 18": lambda: with_version(17),
    "version -1": lambda: with_version(0xFF),
    "an empty serial number": lambda: with_serial(b""),
    "a month that does not exist": lambda: with_date("991332000000Z"),
    "a date that is a word": lambda: with_date("tomorrow"),
    "a name that is not UTF-8": lambda: with_name(Value(0x0C, b"\xff\xfe")),
    "a name that is half a character": lambda: with_name(Value(0x1E, b"\x00")),
    "a name that is a bit string": lambda: with_name(Value(0x03, b"\x00\x01")),
    "a key that is no point": with_broken_key,
    "a curve that does not exist": lambda: with_curve(bytes.fromhex("2b060104018d0c63")),
    "an extension twice": with_extension_twice,
    "an extension that is cut off": with_broken_extension,
    "a length that is not DER": with_length_of_two_bytes,
}
# RFC 5280 4.1.2.2: readers should be prepared to handle serial numbers that are zero or negative.
TAKEN: dict[str, Callable[[], bytes]] = {
    "a negative serial number": lambda: with_serial(b"\x80"),
    "a serial number of zero": lambda: with_serial(b"\x00"),
    "a serial number of 20 bytes": lambda: with_serial(b"\x7f" * 20),
    "an unknown extension": with_unknown_extension,
    "an X.400 name": with_x400_name,
    "a date of long ago": lambda: with_date("500101000000Z"),
}


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


def body(pem: str) -> dict[str, Any]:
    details = {"certificateType": "CUSTOM_TLS_CERTIFICATE", "certificate": pem}
    security = {"connectionSecurityType": "START_TLS_CONNECTION_SECURITY", "tlsCertificateDetails": details}
    return {**oracle(SECRET), "connectionSecurity": security}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_certificate_with_a_fault_is_a_400(api: Caller, name: str) -> None:
    """Case 30."""
    pem = pem_of(REFUSED[name]())
    answer = await api.send("PUT", MAIL_SERVER, json=body(pem))

    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidParameter"), answer.text
    assert answer.json()["message"].startswith(f"{FIELD} ")
    # Whole lines: the last of a certificate may be a few characters, which turn up by chance.
    assert not any(line in answer.text for line in pem.splitlines() if len(line) >= 24)
    assert SECRET not in answer.text
    assert (await api.send("GET", MAIL_SERVER)).status_code == 404


@pytest.mark.parametrize("name", TAKEN)
async def test_a_certificate_that_is_only_unusual_is_taken(api: Caller, name: str) -> None:
    answer = await api.send("PUT", MAIL_SERVER, json=body(pem_of(TAKEN[name]())))

    assert answer.status_code == 200, answer.text


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "indented": lambda pem: "".join(f"    {line}\n" for line in pem.splitlines()),
    "on one line": lambda pem: "".join(pem.splitlines()),
    "with text around it": lambda pem: f"subject=CN = mail\n{pem}\nThe end.\n",
    "with the line ends of Windows": lambda pem: pem.replace("\n", "\r\n"),
    "with its old label": lambda pem: pem.replace("CERTIFICATE", "X509 CERTIFICATE"),
}


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_that_is_taken_is_trusted(name: str) -> None:
    """The validation of a setting and the TLS handshake read the same certificate."""
    trust = CustomTrust.parse(FORMS[name](authority_pem()))
    context = await TLSContexts().context(trust)

    assert context.cert_store_stats()["x509"] == 1


INCOMPLETE: dict[str, Callable[[], str]] = {
    "a second one that is cut off": lambda: authority_pem() + authority_pem()[:200],
    "a revocation list": lambda: authority_pem() + authority_pem().replace("CERTIFICATE", "X509 CRL"),
    "a certificate with trust settings": lambda: (
        authority_pem() + authority_pem().replace("CERTIFICATE", "TRUSTED CERTIFICATE")
    ),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_a_part_that_would_be_passed_over_is_refused(name: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        CustomTrust.parse(INCOMPLETE[name]())

    assert refused.value.problem == "must hold nothing but whole certificates."


def test_of_mutated_certificates_each_is_good_or_refused() -> None:
    taken = 0
    for der in mutations(COUNT, SEED):
        trust = CustomTrust(pem_of(der))
        with suppress(InvalidSetting):
            trust = CustomTrust.parse(pem_of(der))
            taken += 1
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=trust.der())

    # Neither all nor none of them, or the mutations miss what they are for.
    assert COUNT // 50 < taken < COUNT


async def test_a_mutated_certificate_from_the_database_is_a_finding() -> None:
    """An older version stored it, or another program wrote it."""
    for pem in ["", "no certificate", "é", *map(pem_of, mutations(300, SEED))]:
        with suppress(StageFailed):
            await TLSContexts().context(CustomTrust(pem))


def test_a_mutated_certificate_is_reported_in_a_sentence(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.pem", tmp_path / "key.pem"
    key.write_text(key_pem())
    for der in mutations(300, SEED):
        certificate.write_text(pem_of(der))

        with pytest.raises(CertificateUnusable):
            reloading_tls_context(certificate, key)


def test_a_good_certificate_is_what_mutations_begin_with() -> None:
    for der in GOOD:
        assert CustomTrust.parse(pem_of(der)).der() == der
        assert read_der(der).public_bytes(Encoding.DER) == der


def test_a_defect_of_the_library_is_an_unreadable_certificate() -> None:
    class PanicException(BaseException):  # as the library calls it
        pass

    with pytest.raises(CertificateUnreadable), reading("holds a certificate whose names cannot be read."):
        raise PanicException
    with pytest.raises(KeyboardInterrupt), reading("must not be seen."):
        raise KeyboardInterrupt


def test_a_refusal_names_the_certificate_as_the_setting() -> None:
    with pytest.raises(InvalidSetting) as refused:
        CustomTrust.parse(pem_of(with_version(17)))

    assert refused.value.setting is Setting.CERTIFICATE
    assert refused.value.problem == "holds a certificate of an unknown version."
