"""Translate requests to the domain: new settings, and patches of stored settings (RFC 7396)."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from mailsettings.dialects.v1.mail_servers import inputs, translate
from mailsettings.dialects.v1.mail_servers.schemas import Security
from mailsettings.dialects.v1.request_parts import require_unchanged
from mailsettings.domain.certificates import CustomTrust, SystemTrust, Trust
from mailsettings.domain.change import Replacement, SecretInput
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
    StoredMailServer,
)
from mailsettings.web.body import findings_error

_PORTS: Mapping[Security, int] = {"starttls": 587, "implicit_tls": 465, "none": 25}
_UNIONS = ("authentication", "trust")
_SECRETS = ("password", "client_secret")


def to_replacement(model: inputs.NewMailServer) -> Replacement:
    """Return what a request wants to store."""
    return _replacement(
        model, description=model.description or "", labels=model.labels, name=model.name, enabled=model.enabled
    )


def to_tested(model: inputs.ConnectionInput) -> Replacement:
    """Return what a request wants to test."""
    return _replacement(model)


def replacing(model: inputs.MailServerReplacement) -> Callable[[StoredMailServer], Replacement]:
    """Return the change that a PUT makes; it refuses changes of members that the service sets."""

    def onto(stored: StoredMailServer) -> Replacement:
        _require_unchanged(model, stored)
        return to_replacement(model)

    return onto


def patching(patch: Mapping[str, Any]) -> Callable[[StoredMailServer], Replacement]:
    """Return the change that a PATCH makes: the stored settings, as a GET shows them, with the patch."""

    def onto(stored: StoredMailServer) -> Replacement:
        merged = _merged(translate.to_settings(stored).model_dump(mode="json"), patch)
        try:
            model = inputs.MailServerReplacement.model_validate(merged)
        except ValidationError as invalid:
            findings = [{**finding, "loc": ("body", *finding["loc"])} for finding in invalid.errors()]
            raise findings_error(findings, merged) from None
        return replacing(model)(stored)

    return onto


def merge_patch(target: object, patch: object) -> Any:
    """Return *target* with *patch* (RFC 7396 2)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _merged(shown: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return *shown* with *patch*; members of another kind of login or trust go, and null removes a secret."""
    # RFC 7396 2 merges member by member, so members of the old kind would stay, and the new kind has none of them.
    start = {**shown, **{name: {} for name in _UNIONS if _is_other_kind(patch.get(name), shown[name])}}
    merged: dict[str, Any] = merge_patch(start, patch)
    # In a merge patch null removes a member, and a secret that is left out would stay: here null means no secret.
    sent = patch.get("authentication")
    if isinstance(sent, Mapping):
        merged["authentication"].update({name: None for name in _SECRETS if name in sent and sent[name] is None})
    return merged


def _is_other_kind(sent: object, shown: Mapping[str, Any]) -> bool:
    return isinstance(sent, Mapping) and sent.get("kind", shown["kind"]) != shown["kind"]


def _require_unchanged(model: inputs.MailServerReplacement, stored: StoredMailServer) -> None:
    # Not the health: it changes by itself between a GET and the PUT of what it showed.
    require_unchanged(model, to_jsonable_python(translate.read_only(stored)))


def _replacement(
    model: inputs.ConnectionInput, *, name: str | None = None, enabled: bool | None = None, **notes: Any
) -> Replacement:
    authentication, change = _login(model.authentication)
    security, port = _security_and_port(model)
    server = MailServer(
        host=model.host.strip(" "),
        port=port,
        security=translate.SECURITY[security],
        sender=Sender(model.sender.address, model.sender.name or None),
        authentication=authentication,
        trust=_trust(model.trust),
        **notes,
    )
    return Replacement(server, change, name=name, enabled=enabled)


def _security_and_port(model: inputs.ConnectionInput) -> tuple[Security, int]:
    # 587 is the port of submission (RFC 6409 3.1), with STARTTLS; 465 is that of implicit TLS (RFC 8314 3.3).
    implicit = model.security is None and model.port == _PORTS["implicit_tls"]
    security = model.security or ("implicit_tls" if implicit else "starttls")
    return security, model.port or _PORTS[security]


def _login(model: inputs.AnyLoginInput) -> tuple[Authentication, SecretInput]:
    match model:
        case inputs.PasswordLoginInput(password=sent):
            return PasswordAuthentication(model.username, sent.secret), sent.input
        case inputs.OAuth2LoginInput(client_secret=sent):
            login = OAuth2ClientCredentials(model.username, model.client_id, model.tenant, sent.secret)
            return login, sent.input
        case inputs.MachineLoginInput():
            return AmbientCredentials(model.username or None), SecretInput.GIVEN
        case inputs.NoLoginInput():
            return NoAuthentication(), SecretInput.GIVEN


def _trust(model: inputs.AnyTrustInput) -> Trust:
    return CustomTrust.parse(model.pem) if isinstance(model, inputs.CertificatesTrustInput) else SystemTrust()
