"""Names and neighbourhoods of logins as hashes, with the key of the audit log: a plain hash could be guessed."""

from mailsettings.store.audit_log import SQLAuditLog


class LoginHashes:
    """The hashes, in one transaction; *audit* has the key."""

    def __init__(self, audit: SQLAuditLog) -> None:
        self._audit = audit

    async def has_key(self) -> bool:
        """Whether there is a key yet; a transaction that only reads makes none."""
        return await self._audit.chain() is not None

    async def of(self, text: str) -> str:
        """64 hexadecimal digits."""
        return (await self._audit.request_hash("login", text.encode("utf-8", "surrogatepass"))).hex()

    async def of_account(self, name: str) -> str:
        """What the rows of one account have in common."""
        return await self.of(f"rows of|{name}")
