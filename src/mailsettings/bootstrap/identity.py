"""Compose the reader of access tokens from the settings."""

from mailsettings.auth.oidc import OIDCTokenReader, TrustedIssuer
from mailsettings.auth.tokens import OwnTokenReader, TokenReaderByIssuer
from mailsettings.bootstrap.apis import GRANTS
from mailsettings.bootstrap.outgoing import create_issuer_client
from mailsettings.settings import PREFIX, Settings, SettingsInvalid
from mailsettings.use_cases.ports import TokenReader

ISSUER = "mailsettings"


def create_token_reader(settings: Settings, own: OwnTokenReader) -> TokenReader:
    """Return a reader of own tokens, and of tokens of the issuer in the settings. Raises `SettingsInvalid`."""
    foreign = create_foreign_tokens(settings)
    if foreign is None or settings.oidc_issuer is None:
        return own
    return TokenReaderByIssuer(ISSUER, own.read, settings.oidc_issuer, foreign.read)


def create_foreign_tokens(settings: Settings) -> OIDCTokenReader | None:
    """Return a reader of the tokens of the issuer in the settings, if set. Raises `SettingsInvalid`."""
    if settings.oidc_issuer is None:
        return None
    grants: dict[str, frozenset[str]] = {}
    for value, name in settings.oidc_permissions:
        if name not in GRANTS:
            known = ", ".join(sorted(GRANTS))
            raise SettingsInvalid(f"{PREFIX}OIDC_PERMISSIONS has an unknown permission; use one of: {known}.")
        grants[value] = grants.get(value, frozenset()) | {name}
    trusted = TrustedIssuer(
        settings.oidc_issuer,
        settings.oidc_audience,
        grants,
        settings.oidc_permissions_claim,
        settings.oidc_subject_claim,
    )
    return OIDCTokenReader(trusted, create_issuer_client(settings))
