"""The trust that an organisation gives to an issuer: which of its tokens count here, as whom, and what they allow.

A `TrustedIssuer` holds settings only; `oidc.py` applies them to a token with a valid signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailsettings.auth.access_token import MAX_TOKEN_LENGTH, claim_at, invalid_token, name_at, values_at
from mailsettings.auth.jwks import DEFAULT_ALGORITHMS
from mailsettings.domain.access import ISSUER_SEPARATOR

ClaimPath = tuple[str, ...]
"""The names that lead to a claim: several for a claim inside objects."""

CLIENT_PREFIX = f"client{ISSUER_SEPARATOR}"
"""Begins the name of a caller if its token names no person, after the name of the issuer."""


@dataclass(frozen=True, slots=True)
class ClaimGrants:
    """The grants that the values of one claim give.

    With `of_objects`, the values of an object are the names of its members.
    """

    claim: ClaimPath
    grants: Mapping[str, frozenset[str]]
    of_objects: bool = False

    def given_by(self, claims: Mapping[str, object]) -> frozenset[str]:
        """Return the names of the grants that *claims* give."""
        values = values_at(claims, self.claim, of_objects=self.of_objects)
        return frozenset[str]().union(*(self.grants.get(value, frozenset()) for value in values))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """An issuer, the tokens of it that are meant for this service, and what they allow here."""

    issuer: str
    """Its identifier, below which it publishes its keys."""
    name: str = ""
    """Begins the names of its callers; by default its host. No two issuers have the same."""
    token_issuers: tuple[str, ...] = ()
    """The values of `iss` in its tokens; by default its identifier."""
    audiences: tuple[str, ...]
    """A token names one of them; without audiences, a token names no audience at all."""
    required: tuple[tuple[ClaimPath, frozenset[str]], ...] = ()
    """Claims with values; a token has one of the values in each of these claims."""
    permissions: tuple[ClaimGrants, ...] = ()
    subject_claim: ClaimPath = ("sub",)
    client_subject_claim: ClaimPath | None = None
    """Names the caller where the token has no `subject_claim`."""
    algorithms: frozenset[str] = DEFAULT_ALGORITHMS
    id_token_claims: frozenset[str] = frozenset()
    """Claims of ID tokens that its access tokens have too."""
    max_token_length: int = MAX_TOKEN_LENGTH

    @property
    def accepted_issuers(self) -> tuple[str, ...]:
        """Return the values of `iss` that its tokens may have."""
        return self.token_issuers or (self.issuer,)

    @property
    def required_claims(self) -> list[str]:
        """Return the registered claims that a token must have (RFC 7519 4.1)."""
        audience = ["aud"] if self.audiences else []
        subject = ["sub"] if self.client_subject_claim is None else []
        return ["exp", "iss", *audience, *subject]

    def require_meant(self, claims: Mapping[str, object]) -> None:
        """Raise `NotAuthenticated` unless a token with *claims* is meant for this service."""
        # RFC 7519 4.1.3: a token with audiences is only for them.
        if "aud" in claims and not self.audiences:
            raise invalid_token("it has an audience (aud), and the settings of its issuer have none")
        for claim, values in self.required:
            if values_at(claims, claim).isdisjoint(values):
                raise invalid_token(f"its claim {'.'.join(claim)} has no value that the settings require")

    def caller_of(self, claims: Mapping[str, object]) -> str:
        """Return the name of the caller here, which no caller of another issuer has. Raises `NotAuthenticated`."""
        prefix = self.name or urlsplit(self.issuer).hostname
        return f"{prefix}{ISSUER_SEPARATOR}{self._subject(claims)}"

    def _subject(self, claims: Mapping[str, object]) -> str:
        if self.client_subject_claim is None:
            return name_at(claims, self.subject_claim)
        if claim_at(claims, self.subject_claim) is None:
            return f"{CLIENT_PREFIX}{name_at(claims, self.client_subject_claim)}"
        name = name_at(claims, self.subject_claim)
        if name.startswith(CLIENT_PREFIX):
            raise invalid_token("its subject looks like the name of a client")
        return name

    def grants_of(self, claims: Mapping[str, object]) -> frozenset[str]:
        """Return the names of all grants that *claims* give."""
        return frozenset[str]().union(*(each.given_by(claims) for each in self.permissions))
