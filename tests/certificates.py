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
    def for_name(cls, name: str, purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH) -> Self:
        """Signed by nobody but itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(1))
            .not_valid_after(now + timedelta(365))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(certificate.public_bytes(serialization.Encoding.PEM), private)

    @property
    def cert_chain_pems(self) -> list[trustme.Blob]:
        return [trustme.Blob(self.pem)]

    def configure_cert(self, context: ssl.SSLContext) -> None:
        """Make *context* present this certificate."""
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(self.key + self.pem)
            file.flush()
            context.load_cert_chain(file.name)
