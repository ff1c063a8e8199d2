"""Converts mail servers to columns and back. The secret of a row is decrypted only when it is used."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.mail_server import (
    PLAIN_SETTINGS,
    AmbientCredentials,
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Revision,
    Sender,
)
from mailsettings.domain.values import Secret
from mailsettings.store.encryption.sealing import MAIL_SERVER_SECRET, Sealer, label_of


def to_columns(server: MailServer) -> dict[str, Any]:
    """Return all columns except the sealed secret, which needs the id; columns that the login lacks are None."""
    login, trust = server.authentication, server.trust
    return {
        **{name: getattr(server, name) for name in PLAIN_SETTINGS.values()},
        "security": server.security.value,
        "sender_address": server.sender.address,
        "sender_name": server.sender.display_name,
        "authentication": login.kind,
        "username": login.username,
        "client_id": login.client_id,
        "tenant": login.tenant,
        "certificates": trust.pem if isinstance(trust, CustomTrust) else None,
        "secret_label": server.secret.label if server.secret else None,
        "secret_stored_at": server.secret.stored_at if server.secret else None,
        "labels": labels_json(server.labels),
    }


def seal_secret(server_id: int, server: MailServer, sealer: Sealer) -> bytes | None:
    """Return the sealed secret of *server*, bound to its id and its destination."""
    if server.secret is None:
        return None
    associated_data = MAIL_SERVER_SECRET.associated_data_in(to_columns(server))
    return sealer.seal(server.secret.reveal(), MAIL_SERVER_SECRET.place(server_id), associated_data)


def from_row(row: Row[Any], server_id: int, sealer: Sealer) -> MailServer:
    """Return the server in the columns of *row*, which may be an earlier version."""
    certificates = row.certificates
    return MailServer(
        **{name: value for name in PLAIN_SETTINGS.values() if (value := getattr(row, name)) is not None},
        security=ConnectionSecurity(row.security),
        sender=Sender(row.sender_address, row.sender_name),
        authentication=_authentication(row, _secret(row, server_id, sealer)),
        trust=SystemTrust() if certificates is None else CustomTrust(certificates),
        labels=json.loads(row.labels or "{}"),
    )


def labels_json(labels: Mapping[str, str]) -> str:
    """Return the one form in which labels are stored, which `mail_server_list.py` searches."""
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"))


def revision_of(at: datetime, by: str | None) -> Revision:
    """Return who changed the row and when."""
    return Revision(in_utc(at), by)


def in_utc(at: datetime) -> datetime:
    """Return a stored time with its zone; SQLite stores times in UTC without one."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _authentication(row: Row[Any], secret: Secret | None) -> Authentication:
    match row.authentication:
        case PasswordAuthentication.kind:
            return PasswordAuthentication(row.username, secret)
        case OAuth2ClientCredentials.kind:
            return OAuth2ClientCredentials(row.username, row.client_id, row.tenant, secret)
        case AmbientCredentials.kind:
            return AmbientCredentials(row.username)
        case _:
            return NoAuthentication()


def _secret(row: Row[Any], server_id: int, sealer: Sealer) -> Secret | None:
    sealed, place = row.sealed_secret, MAIL_SERVER_SECRET.place(server_id)
    associated_data = MAIL_SERVER_SECRET.associated_data_in(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
    if sealed is None:
        return None
    stored_at = row.secret_stored_at and in_utc(row.secret_stored_at)
    label = label_of(row.secret_label, sealed)
    return Secret.sealed(lambda: sealer.open(sealed, place, associated_data), label, stored_at)
