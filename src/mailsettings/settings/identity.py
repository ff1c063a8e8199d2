"""Settings about access tokens, ours and those of an external issuer."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from mailsettings.domain.syntax import is_secure_url
from mailsettings.settings.base import PREFIX, ClaimPath, Names, Pairs, SettingsGroup


class IdentitySettings(SettingsGroup):
    """Who may call."""

    token_lifetime_seconds: int = Field(
        default=3600, ge=600, le=86400, description="How long an access token is good for."
    )
    client_secret: SecretStr | None = Field(
        default=None,
        description="What OAuth2 clients must show at the token endpoint; by default any secret will do.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="An OpenID Connect issuer, exactly as it names itself, whose access tokens are taken beside "
        "our own; see [external identity](docs/external-identity.md).",
    )
    oidc_audience: Names = Field(
        default=(),
        validate_default=True,
        description="Audiences (`aud`), with commas between; the issuer's tokens must name one of them.",
    )
    oidc_permissions: Pairs = Field(
        default=(),
        validate_default=True,
        description="What the issuer's tokens allow, as `claim value=permission` with commas between, such as "
        "`mail-admin=manage-system-settings,auditor=view-mail-settings`.",
    )
    oidc_permissions_claim: ClaimPath = Field(
        default=("roles",),
        description="The claim that holds these values; dots go into objects, as in `realm_access.roles`.",
    )
    oidc_subject_claim: ClaimPath = Field(
        default=("sub",), description="The claim that names the caller; one that users cannot change themselves."
    )
    oidc_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that the issuer is trusted by, in place of the system's.",
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _secure(cls, issuer: str | None) -> str | None:
        # OpenID Connect Discovery 3: an issuer has no query.
        if issuer is not None and (not is_secure_url(issuer) or "?" in issuer):
            raise ValueError("it must be an https address, or an http one of loopback, without a query")
        return issuer

    @field_validator("oidc_audience", "oidc_permissions")
    @classmethod
    def _goes_with_the_issuer(cls, value: tuple[object, ...], info: ValidationInfo) -> tuple[object, ...]:
        issuer = info.data.get("oidc_issuer")
        if issuer and not value:
            raise ValueError(f"with {PREFIX}OIDC_ISSUER it is needed")
        if value and not issuer:
            raise ValueError(f"without {PREFIX}OIDC_ISSUER it means nothing")
        return value
