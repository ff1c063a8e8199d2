"""A certificate for development: self-signed, for the names of this machine's loopback, renewed when it is old."""

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailsettings.server.certificate import CertificateUnusable

VALID = timedelta(days=90)
RENEWED_BEFORE = timedelta(days=14)


def development_certificate(directory: Path) -> tuple[Path, Path]:
    """Return the files of the certificate and its key in *directory*; make them if they are missing or old.

    Raises `CertificateUnusable` if they cannot be written.
    """
    certificate, key = directory / "relay-development.pem", directory / "relay-development-key.pem"
    try:
        if not (key.exists() and _is_fresh(certificate)):
            _write(certificate, key)
    except OSError as error:
        raise CertificateUnusable(
            f"Cannot write a certificate for development into {directory}: {error.strerror}."
        ) from error
    return certificate, key


def _is_fresh(certificate: Path) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return found.not_valid_after_utc > datetime.now(UTC) + RENEWED_BEFORE


def _write(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _replace(key, private.private_bytes(serialization.Encoding.PEM, *form))
    _replace(certificate, _signed(private).public_bytes(serialization.Encoding.PEM))


def _replace(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        written.write(content)
    new.replace(file)


def _signed(private: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail-settings development")])
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "::1"))]
    public, now = private.public_key(), datetime.now(UTC)
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + VALID,
    )
    for extension, is_critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(digital_signature=True, **usage), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ):
        builder = builder.add_extension(extension, is_critical)
    return builder.sign(private, hashes.SHA256())
