"""Mail servers as rows, and back. A row's secret is opened only when somebody asks for it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.changed import Changed
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
    StoredMailServer,
)
from mailsettings.domain.secret import Secret
from mailsettings.domain.trust import GivenCertificates, SystemTrust
from mailsettings.store.sealed_columns import MAIL_SERVER_SECRET
from mailsettings.store.sealing import Sealer
from mailsettings.store.tables import mail_servers as table

_KINDS: Mapping[type[Authentication], str] = {
    NoAuthentication: "none",
    AmbientCredentials: "ambient",
    PasswordAuthentication: "password",
    OAuth2ClientCredentials: "oauth2",
}


class SQLMailServers:
    """The mail servers, in one transaction."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def list(self) -> Sequence[StoredMailServer]:
        """All of them, by id."""
        rows = await self._connection.execute(select(table).order_by(table.c.id))
        return [self._stored(row) for row in rows]

    async def find(self, server_id: int) -> StoredMailServer | None:
        """The one with this id."""
        return await self._one(table.c.id == server_id)

    async def find_default(self) -> StoredMailServer | None:
        """The one that an API which knows a single server shows."""
        return await self._one(table.c.is_default)

    async def add(self, server: MailServer, by: str | None = None) -> int:
        """Store a new one, and *by* whom; its id. It is the default if there is no other."""
        now = datetime.now(UTC)
        new = {
            **_values(server),
            "version": 1,
            "is_default": await self.find_default() is None,
            "created_at": now,
            "updated_at": now,
            "changed_by": by,
        }
        added = await self._connection.execute(insert(table).values(new).returning(table.c.id))
        server_id: int = added.scalar_one()
        # The secret is sealed for its row, whose id is known only now.
        sealed = {"sealed_secret": self._sealed(server_id, server)}
        await self._connection.execute(update(table).where(table.c.id == server_id).values(sealed))
        return server_id

    async def replace(self, server_id: int, server: MailServer, by: str | None = None) -> None:
        """Store *server* in place of what is there."""
        changed = {
            **_values(server),
            "version": table.c.version + 1,
            "sealed_secret": self._sealed(server_id, server),
            "updated_at": datetime.now(UTC),
            "changed_by": by,
        }
        await self._connection.execute(update(table).where(table.c.id == server_id).values(changed))

    async def delete(self, server_id: int) -> None:
        """Remove it."""
        await self._connection.execute(delete(table).where(table.c.id == server_id))

    async def _one(self, condition: Any) -> StoredMailServer | None:
        row = (await self._connection.execute(select(table).where(condition))).one_or_none()
        return None if row is None else self._stored(row)

    def _sealed(self, server_id: int, server: MailServer) -> bytes | None:
        secret = server.secret
        if secret is None:
            return None
        beside = MAIL_SERVER_SECRET.said_beside(_values(server))
        return self._sealer.seal(secret.reveal(), MAIL_SERVER_SECRET.place(server_id), beside)

    def _stored(self, row: Row[Any]) -> StoredMailServer:
        certificates = row.certificates
        server = MailServer(
            host=row.host,
            port=row.port,
            security=ConnectionSecurity(row.security),
            sender=Sender(row.sender_address, row.sender_name),
            authentication=self._authentication(row),
            trust=SystemTrust() if certificates is None else GivenCertificates(certificates),
        )
        return StoredMailServer(row.id, row.version, server, Changed(_utc(row.updated_at), row.changed_by))

    def _authentication(self, row: Row[Any]) -> Authentication:
        match row.authentication:
            case "password":
                return PasswordAuthentication(row.username, self._secret(row))
            case "oauth2":
                return OAuth2ClientCredentials(row.username, row.client_id, row.tenant, self._secret(row))
            case "ambient":
                return AmbientCredentials(row.username)
            case _:
                return NoAuthentication()

    def _secret(self, row: Row[Any]) -> Secret | None:
        sealed, place = row.sealed_secret, MAIL_SERVER_SECRET.place(row.id)
        beside = MAIL_SERVER_SECRET.said_beside(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
        return None if sealed is None else Secret.sealed(lambda: self._sealer.open(sealed, place, beside))


def _values(server: MailServer) -> dict[str, Any]:
    """All that can be told before the id is known; a column that the login does not use is emptied."""
    login, trust = server.authentication, server.trust
    return {
        "host": server.host,
        "port": server.port,
        "security": server.security.value,
        "sender_address": server.sender.address,
        "sender_name": server.sender.display_name,
        "authentication": _KINDS[type(login)],
        "username": getattr(login, "username", None),
        "client_id": getattr(login, "client_id", None),
        "tenant": getattr(login, "tenant", None),
        "certificates": trust.pem if isinstance(trust, GivenCertificates) else None,
    }


def _utc(moment: datetime) -> datetime:
    """SQLite keeps a moment without its zone, which is ours."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
