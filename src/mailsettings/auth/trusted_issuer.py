"""The trust that an organisation gives to an issuer: which of its tokens count here, as whom, and what they allow.

A `TrustedIssuer` holds settings only; `oidc.py` applies them to a token whose signature is valid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailsettings.auth.access_token import values_at

Path = tuple[str, ...]
"""The names that lead to a claim: several for a claim inside objects."""


@dataclass(frozen=True, slots=True)
class ClaimGrants:
    """The grants that the values of one claim give."""

    claim: Path
    grants: Mapping[str, frozenset[str]]

    def given_by(self, claims: Mapping[str, object]) -> frozenset[str]:
        """Return the names of the grants that *claims* give."""
        values = values_at(claims, self.claim)
        return frozenset[str]().union(*(self.grants.get(value, frozenset()) for value in values))


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer, the audiences that its tokens must name one of, and what they allow here.

    `name` begins the names of its callers; by default the host of the issuer.
    """

    issuer: str
    audiences: tuple[str, ...]
    permissions: tuple[ClaimGrants, ...] = ()
    subject_claim: Path = ("sub",)
    name: str = ""

    @property
    def caller_prefix(self) -> str:
        """Return the name of the issuer before the names of its callers."""
        return self.name or str(urlsplit(self.issuer).hostname)

    def grants_of(self, claims: Mapping[str, object]) -> frozenset[str]:
        """Return the names of all grants that *claims* give."""
        return frozenset[str]().union(*(each.given_by(claims) for each in self.permissions))
