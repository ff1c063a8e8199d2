"""What a mail server's certificate is verified against: the system's authorities, or given ones only."""

from dataclasses import dataclass
from typing import Self

from cryptography import x509

from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.setting import Setting

MOST_CERTIFICATES = 10
LONGEST_PEM = 32 * 1024


@dataclass(frozen=True, slots=True)
class SystemTrust:
    """The authorities that this machine trusts."""


@dataclass(frozen=True, slots=True)
class GivenCertificates:
    """Only these certificates, authorities or the server's own; `pem` is kept as it was given."""

    pem: str

    @classmethod
    def parse(cls, pem: str) -> Self:
        """Accept one to ten PEM certificates. Raises `InvalidSetting` for anything else, keys above all."""
        if len(pem) > LONGEST_PEM:
            raise _refused(f"must not be longer than {LONGEST_PEM} characters.")
        if "PRIVATE KEY" in pem:
            raise _refused("must not contain a private key.")
        try:
            count = len(x509.load_pem_x509_certificates(pem.encode("ascii")))
        except ValueError:
            raise _refused("must be one or more certificates in PEM form.") from None
        if count > MOST_CERTIFICATES:
            raise _refused(f"must not hold more than {MOST_CERTIFICATES} certificates.")
        return cls(pem)


Trust = SystemTrust | GivenCertificates


def _refused(problem: str) -> InvalidSetting:
    return InvalidSetting(Setting.CERTIFICATE, problem)
