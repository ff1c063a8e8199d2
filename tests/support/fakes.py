"""Simple stand-ins for the ports of the use cases: a prober with a scripted answer, passwords, tokens."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from mailsettings.domain.access import IssuedToken, Permission, TokenClaims
from mailsettings.domain.connection_test import (
    Outcome,
    ProbeBegun,
    ProbeListener,
    ProbeReport,
    ProbeStage,
    StageReport,
)
from mailsettings.domain.errors import (
    IdentityUnavailable,
    NotAuthenticated,
)
from mailsettings.domain.mail_server import MailServer
from mailsettings.store.database import SQLStore

WORKS = ProbeReport((StageReport(ProbeStage.CONNECT, Outcome.PASSED),))


@dataclass
class ScriptedProber:
    """Answers every probe with `report`, once `hold` is set if there is one, and keeps what it was asked.

    A listener gets the stages of the report, the first of them before `hold`.
    """

    report: ProbeReport = WORKS
    hold: asyncio.Event | None = None
    asked: list[tuple[MailServer, str | None]] = field(default_factory=list)

    async def probe(
        self, server: MailServer, recipient: str | None, listener: ProbeListener | None = None
    ) -> ProbeReport:
        self.asked.append((server, recipient))
        notify = listener or (lambda _event: None)
        notify(ProbeBegun(tuple(stage.stage for stage in self.report.stages)))
        for stage in self.report.stages[:1]:
            notify(stage)
        if self.hold is not None:
            await self.hold.wait()
        for stage in self.report.stages[1:]:
            notify(stage)
        return self.report


class PlainPasswords:
    """Hashes that are quick to make, and no secret."""

    async def hash(self, password: str) -> str:
        return f"hash of {password}"

    async def verify(self, password: str, password_hash: str | None, callers: Collection[str] = ()) -> bool:
        return password_hash == f"hash of {password}"


GRANTS = {
    "admin": frozenset(Permission),
    "auditor": frozenset({Permission.AUDIT_READ}),
    "monitoring": frozenset({Permission.METRICS_READ}),
    "tester": frozenset({Permission.MAIL_SERVERS_TEST}),
    "reader": frozenset({Permission.MAIL_SERVERS_READ}),
    "stranger": frozenset[Permission](),
    "view-mail-settings": frozenset({Permission.MAIL_SERVERS_READ}),
    "accountant": frozenset({Permission.ACCOUNTS_MANAGE}),
}


class NamesAsTokens:
    """The token `admin` speaks for the admin, and so on; an issued token is the name of the account.

    The token `issuer-away` is of an issuer that does not answer. `admin-account` is the token of the account
    `admin` in *store*, as it is now.
    """

    def __init__(self, store: SQLStore | None = None) -> None:
        self._store = store

    async def read(self, token: str) -> TokenClaims:
        if token == "issuer-away":
            raise IdentityUnavailable
        if token == "admin-account" and self._store is not None:
            async with self._store.reading() as view:
                found = await view.accounts.find("admin")
            if found is not None:
                return TokenClaims("admin", found.account.grants, expires_at=2**40, stamp=found.stamp)
        if token not in GRANTS:
            raise NotAuthenticated("The access token is not valid.", presented=True)
        return TokenClaims(token, frozenset({token}), expires_at=2**40)

    async def issue(
        self, subject: str, grants: Iterable[str], lifetime_seconds: int, stamp: str | None = None
    ) -> IssuedToken:
        return IssuedToken(subject, lifetime_seconds)
