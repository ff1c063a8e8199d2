"""Settings of access tokens, issued by this service or by an external issuer."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from mailsettings.settings.base import PREFIX, ClaimPath, Names, Pairs, SettingsGroup, require_issuer_url

_BYTES_BESIDES_TOKEN = 8192


class IdentitySettings(SettingsGroup):
    """Access tokens."""

    token_lifetime_seconds: int = Field(default=3600, ge=600, le=86400, description="Lifetime of an access token.")
    token_client_secret: SecretStr | None = Field(
        default=None,
        description="Client secret that the token endpoint requires; by default it accepts any.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="OpenID Connect issuer, exactly as it names itself. Its access tokens are accepted in "
        "addition to those of this service; see [external identity](docs/external-identity.md).",
    )
    oidc_audience: Names = Field(
        default=(),
        validate_default=True,
        description="Audiences (`aud`), separated by commas; a token of the issuer must name one of them.",
    )
    oidc_permissions: Pairs = Field(
        default=(),
        validate_default=True,
        description="Permissions of the issuer's tokens, as `claim value=permission` separated by commas, such as "
        "`mail-admin=manage-system-settings,auditor=view-mail-settings`.",
    )
    oidc_permissions_claim: ClaimPath = Field(
        default=("roles",),
        description="Claim that holds these values; a dot enters an object, as in `realm_access.roles`. "
        'A JSON array has the names one by one, as in `["https://example.org/app", "roles"]`.',
    )
    oidc_subject_claim: ClaimPath = Field(
        default=("sub",), description="Claim that names the caller; choose one that users cannot change."
    )
    oidc_ca_file: Path | None = Field(
        default=None,
        description="PEM file of certificate authorities to trust for the issuer, instead of those of the system.",
    )

    oidc_issuers_file: Path | None = Field(
        default=None,
        validate_default=True,
        description="TOML file of several issuers, or of one with more settings than these variables have; see "
        "[external identity](docs/external-identity.md#several-issuers-and-more-settings).",
    )
    oidc_max_token_bytes: int = Field(
        default=8192,
        ge=8192,
        le=16384,
        description="Size of an issuer's access token, at most. A request may have 8 KiB of headers besides.",
    )

    @property
    def max_head_bytes(self) -> int:
        """The most bytes of headers in a request: the longest token, and 8 KiB besides."""
        return self.oidc_max_token_bytes + _BYTES_BESIDES_TOKEN

    @field_validator("oidc_issuer")
    @classmethod
    def _secure(cls, issuer: str | None) -> str | None:
        return issuer if issuer is None else require_issuer_url(issuer)

    @field_validator("oidc_issuers_file")
    @classmethod
    def _replaces_the_variables(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("oidc_issuer") is not None:
            raise ValueError(f"it does not go with {PREFIX}OIDC_ISSUER; write that issuer into the file")
        return file

    @field_validator("oidc_audience", "oidc_permissions")
    @classmethod
    def _goes_with_the_issuer(cls, value: tuple[object, ...], info: ValidationInfo) -> tuple[object, ...]:
        issuer = info.data.get("oidc_issuer")
        if issuer and not value:
            raise ValueError(f"it is required with {PREFIX}OIDC_ISSUER")
        if value and not issuer:
            raise ValueError(f"without {PREFIX}OIDC_ISSUER it has no effect; set both")
        return value
