"""Certificates for tests, from throw-away authorities and from none."""

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def authority_pem() -> str:
    """A new authority's certificate."""
    return trustme.CA().cert_pem.bytes().decode()


def key_pem() -> str:
    """A private key, which is no certificate."""
    return trustme.CA().private_key_pem.bytes().decode()


@dataclass(frozen=True)
class SelfSigned:
    """A certificate and its key; used like trustme's."""

    pem: bytes
    key: bytes

    @classmethod
    def for_name(
        cls,
        name: str,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        *,
        extra: x509.ExtensionType | None = None,
        authority: bool = False,
    ) -> Self:
        """Self-signed; *extra* replaces its names."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, name, key.public_key())
        if authority:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        else:
            names = extra or x509.SubjectAlternativeName([x509.DNSName(name)])
            builder = builder.add_extension(names, critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        return cls(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    def issue(self, name: str) -> "SelfSigned":
        """Return a certificate for *name*, signed by this certificate."""
        own = x509.load_pem_x509_certificate(self.pem)
        own_key = serialization.load_pem_private_key(self.key, None)
        assert isinstance(own_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = str(own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = _builder(name, issuer, key.public_key()).add_extension(names, critical=False)
        certificate = builder.sign(own_key, hashes.SHA256())
        return SelfSigned(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    @property
    def cert_chain_pems(self) -> list[trustme.Blob]:
        return [trustme.Blob(self.pem)]

    def configure_cert(self, context: ssl.SSLContext) -> None:
        """Make *context* present this certificate."""
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(self.key + self.pem)
            file.flush()
            context.load_cert_chain(file.name)


def _builder(name: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer))
    return (
        x509.CertificateBuilder(by, subject, key, x509.random_serial_number())
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(365))
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
