"""What is wrong with a certificate and its key that OpenSSL accepts or refuses without a clear reason."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from mailsettings.domain.certificates import CertificateUnreadable, reading

MIN_RSA_BITS = 2048
MIN_CURVE_BITS = 224
"""OpenSSL's security level 2 refuses shorter keys (SSL_CTX_set_security_level(3))."""


def weakness_of_key(certificate: Path) -> str | None:
    """Return why the key of the certificate is too weak, None if it is not or cannot be read."""
    try:
        with reading("has a key that cannot be read."):
            return _weakness(_read(certificate)[0].public_key())
    except CertificateUnreadable:
        return None  # the caller has a better sentence for it


def _weakness(key: CertificatePublicKeyTypes) -> str | None:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"Its RSA key has {key.key_size} bits; use a key of {MIN_RSA_BITS} bits or more."
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_CURVE_BITS:
        return f"The curve {key.curve.name} of its key is too short; use P-256."
    return None


def warnings_about(certificate: Path) -> Iterator[str]:
    """Yield what may keep clients from trusting the certificate, as sentences."""
    try:
        with reading("has names that cannot be read."):
            lacks_issuer = _lacks_issuer(_read(certificate))
    except CertificateUnreadable:
        return
    if lacks_issuer:
        yield (
            f"{certificate} lacks the certificate of the authority that issued the server's certificate. If "
            "that is an intermediate authority, append its certificate; otherwise clients that know only the root "
            "refuse the connection."
        )


def _lacks_issuer(chain: Sequence[x509.Certificate]) -> bool:
    leaf, others = chain[0], chain[1:]
    if leaf.issuer == leaf.subject:
        return False
    return leaf.issuer.public_bytes() not in {other.subject.public_bytes() for other in others}


def _read(certificate: Path) -> Sequence[x509.Certificate]:
    return x509.load_pem_x509_certificates(certificate.read_bytes())
