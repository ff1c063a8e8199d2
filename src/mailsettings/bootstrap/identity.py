"""Compose the readers of access tokens: our own, and those of the issuers in the settings."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mailsettings.auth.issuers import TokenReaderByIssuer
from mailsettings.auth.oidc import OIDCTokenReader
from mailsettings.auth.tokens import OwnTokenReader
from mailsettings.auth.trusted_issuer import ClaimGrants, TrustedIssuer
from mailsettings.bootstrap.outgoing import create_issuer_client
from mailsettings.bootstrap.use_cases import GRANTS, ISSUER
from mailsettings.network.http import HTTPClient
from mailsettings.settings import PREFIX, IssuerSettings, Settings, SettingsInvalid, read_issuers
from mailsettings.use_cases.ports import TokenReader


def create_token_reader(
    settings: Settings, own: OwnTokenReader, foreign: Sequence[OIDCTokenReader]
) -> TokenReader:
    """Return a reader of own tokens, and of those that the readers *foreign* accept."""
    if not foreign:
        return own
    by_issuer = {issuer: reader.read for reader in foreign for issuer in reader.trusted.accepted_issuers}
    return TokenReaderByIssuer(ISSUER, own.read, by_issuer, settings.oidc_max_token_bytes)


def create_foreign_tokens(settings: Settings) -> Sequence[OIDCTokenReader]:
    """Return a reader for the tokens of each issuer in the settings. Raises `SettingsInvalid`."""
    clients: dict[Path | None, HTTPClient] = {}
    readers = []
    for issuer in read_issuers(settings, ISSUER):
        trusted = _trusted(issuer, settings)
        if issuer.ca_file not in clients:
            clients[issuer.ca_file] = create_issuer_client(settings, issuer.ca_file, _ca_setting(issuer, settings))
        readers.append(OIDCTokenReader(trusted, clients[issuer.ca_file]))
    return readers


def _ca_setting(issuer: IssuerSettings, settings: Settings) -> str:
    if settings.oidc_issuers_file is None:
        return "OIDC_CA_FILE"
    return f"OIDC_ISSUERS_FILE: the ca_file of {issuer.name}"


def _trusted(issuer: IssuerSettings, settings: Settings) -> TrustedIssuer:
    setting = "OIDC_PERMISSIONS" if settings.oidc_issuers_file is None else "OIDC_ISSUERS_FILE"
    return TrustedIssuer(
        issuer=issuer.issuer,
        name=str(issuer.name),
        token_issuers=issuer.token_issuers,
        audiences=issuer.audience,
        required=_required(issuer),
        permissions=tuple(
            ClaimGrants(each.claim, _grants(each.values, setting), each.objects) for each in issuer.permissions
        ),
        subject_claim=issuer.subject_claim,
        client_subject_claim=issuer.client_subject_claim,
        algorithms=frozenset(issuer.algorithms),
        id_token_claims=frozenset(issuer.id_token_claims),
        max_token_length=settings.oidc_max_token_bytes,
    )


def _required(issuer: IssuerSettings) -> tuple[tuple[tuple[str, ...], frozenset[str]], ...]:
    clients = [(issuer.client_claim, frozenset(issuer.clients))] if issuer.clients else []
    return (*clients, *((claim, frozenset(values)) for claim, values in issuer.required.items()))


def _grants(values: Mapping[str, Iterable[str]], setting: str) -> Mapping[str, frozenset[str]]:
    """Return the grants by value. Raises `SettingsInvalid` for an unknown name in *setting*."""
    if not GRANTS.keys() >= {name for names in values.values() for name in names}:
        known = ", ".join(sorted(GRANTS))
        raise SettingsInvalid(f"{PREFIX}{setting} has an unknown permission; use one of: {known}.")
    return {value: frozenset(names) for value, names in values.items()}
