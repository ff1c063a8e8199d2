"""What would have worked: found out when the first try fails, or while its answer does not come."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.probe import Change, FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.setting import Setting
from mailsettings.smtp.errors import Refused
from mailsettings.smtp.failures import not_smtp
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.presented import TLS_TROUBLE, with_presented
from mailsettings.smtp.second_look import SecondLook, Spoken

PATIENCE_SECONDS = 1.0
GRACE = 1.5
"""Times the patience: what else the first try gets once another way was found. Together less than 3 seconds."""
UsualPorts = Mapping[int, ConnectionSecurity]
# In the order of what to recommend; the security is what the port is registered or known for.
USUAL_PORTS: UsualPorts = {
    465: ConnectionSecurity.IMPLICIT_TLS,  # RFC 8314 7.3
    587: ConnectionSecurity.STARTTLS,  # RFC 6409 3.1
    25: ConnectionSecurity.STARTTLS,
    2525: ConnectionSecurity.STARTTLS,
}
_NOBODY_THERE = {FailureCode.CONNECTION_REFUSED, FailureCode.CONNECTION_TIMED_OUT}
_BY_WORDS = {
    ConnectionSecurity.NONE: "speaks without encryption",
    ConnectionSecurity.STARTTLS: "begins in clear and offers STARTTLS",
    ConnectionSecurity.IMPLICIT_TLS: "speaks implicit TLS, from the first byte",
}

T = TypeVar("T")
Look = Callable[[ProbeFailure, Journal], Awaitable[ProbeFailure]]


class SecondOpinion:
    """About *server*, whose settings are in question. *usual_ports* are those that may be looked at."""

    def __init__(
        self,
        look: SecondLook,
        server: MailServer,
        usual_ports: UsualPorts,
        patience_seconds: float,
        turns: asyncio.Semaphore,
    ) -> None:
        self._look = look
        self._server = server
        self._usual_ports = usual_ports
        self._patience_seconds = patience_seconds
        self._turns = turns
        self._neighbour: tuple[int, ConnectionSecurity] | None = None
        self._settled: ProbeFailure | None = None

    async def impatient(self, stage: ProbeStage, work: Awaitable[T]) -> T:
        """The result of *work*; when it takes long, whatever is found out about the port meanwhile ends it."""
        working = asyncio.ensure_future(work)
        wondering: asyncio.Future[None] | None = None
        try:
            done, _ = await asyncio.wait({working}, timeout=self._patience_seconds)
            if not done:
                wondering = asyncio.ensure_future(self._wonder(stage))
                await asyncio.wait({working, wondering}, return_when=asyncio.FIRST_COMPLETED)
                if wondering.done() and wondering.exception():
                    # It may still come: a slow server on a port that speaks both.
                    await asyncio.wait({working}, timeout=GRACE * self._patience_seconds)
                if not working.done():
                    await wondering  # raises what it found
            return await working
        finally:
            await _stop(working, wondering)

    async def on(self, found: ProbeFailure, journal: Journal) -> ProbeFailure:
        """A better failure than *found*, if a second look says more; certificates go into *journal*."""
        if self._settled and not journal.greeted:
            return self._settled
        if found.code is FailureCode.DEADLINE_EXCEEDED:  # no time is left to look
            return found if journal.greeted else self._pointing_to(self._neighbour, found)
        look = self._look_into(found, journal)
        if look is None:
            return found
        async with self._turns:
            return await look(found, journal)

    def _look_into(self, found: ProbeFailure, journal: Journal) -> Look | None:
        """What there is to look at, if anything."""
        if found.code in _NOBODY_THERE:
            return self._on_nobody
        if found.code is FailureCode.STARTTLS_NOT_OFFERED:
            return self._without_starttls
        if self._doubts_security(found, journal):
            return self._on_security
        if found.code in TLS_TROUBLE and found.stage is ProbeStage.SECURE:
            return self._on_encryption
        return None

    async def _wonder(self, stage: ProbeStage) -> None:
        """Look at the port's other modes and at its neighbours, all at once. Raises `Refused`."""
        async with self._turns:
            neighbours = asyncio.ensure_future(self._find_neighbour())
            try:
                self._settled = await self._by_security(stage)
                if self._settled:
                    raise Refused.of(self._settled)
                self._neighbour = await neighbours
            finally:
                await _stop(neighbours)

    async def _on_nobody(self, found: ProbeFailure, _journal: Journal) -> ProbeFailure:
        return self._pointing_to(await self._find_neighbour(), found)

    async def _on_security(self, found: ProbeFailure, journal: Journal) -> ProbeFailure:
        if better := await self._by_security(found.stage):
            return better
        in_tls = found.code in TLS_TROUBLE and found.stage is ProbeStage.SECURE
        return await self._on_encryption(found, journal) if in_tls else found

    @property
    def _implicit(self) -> bool:
        return self._server.security is ConnectionSecurity.IMPLICIT_TLS

    def _doubts_security(self, found: ProbeFailure, journal: Journal) -> bool:
        """Whether it failed before anything was heard that fits the security of the settings."""
        early = found.code in {FailureCode.CONNECTION_LOST, FailureCode.NOT_SMTP} and not journal.greeted
        implicit_lost = found.stage is ProbeStage.SECURE and self._implicit
        return found.code is FailureCode.WRONG_CONNECTION_SECURITY or (
            early and (found.stage is ProbeStage.GREET or implicit_lost)
        )

    async def _by_security(self, stage: ProbeStage) -> ProbeFailure | None:
        """What this port speaks, if it is not what the settings say."""
        spoken = await self._spoken(stage)
        if spoken.other is not None:
            return not_smtp(stage, spoken.other)
        if spoken.security is None:
            return None
        change = Change(Setting.SECURITY, suggested=self._unless_it_bares(spoken.security))
        explanation = f"this port {_BY_WORDS[spoken.security]}."
        code = FailureCode.WRONG_CONNECTION_SECURITY
        return failure(code, stage, explanation=explanation, changes=(change,))

    async def _spoken(self, stage: ProbeStage) -> Spoken:
        port = self._server.port
        if self._implicit and stage is ProbeStage.SECURE:
            spoken = await self._look.in_clear(port)
            return Spoken() if spoken.other == "TLS" else spoken  # which is what it should be
        if self._implicit:
            return Spoken(other=(await self._look.in_tls(port)).other)
        in_clear = asyncio.ensure_future(self._look.in_clear(port))
        try:
            spoken = await self._look.in_tls(port)
            return spoken if spoken.is_known else Spoken(other=(await in_clear).other)
        finally:
            await _stop(in_clear)

    def _unless_it_bares(self, security: ConnectionSecurity) -> ConnectionSecurity | None:
        """No encryption is not suggested to those who log in."""
        return None if security is ConnectionSecurity.NONE and self._server.secret else security

    async def _without_starttls(self, found: ProbeFailure, _journal: Journal) -> ProbeFailure:
        """Another way to be encrypted; none at all is only suggested where there is no login."""
        tls, neighbour = await asyncio.gather(self._look.in_tls(self._server.port), self._find_neighbour())
        if tls.security is not None:
            change = Change(Setting.SECURITY, suggested=tls.security)
            return replace(found, changes=(change,))
        if neighbour is not None:
            return self._pointing_to(neighbour, found)
        suggested = self._unless_it_bares(ConnectionSecurity.NONE)
        return replace(found, changes=(Change(Setting.SECURITY, suggested=suggested),))

    async def _find_neighbour(self) -> tuple[int, ConnectionSecurity] | None:
        """The best of this host's usual ports that encrypts, as it should be used."""
        ports = {port: security for port, security in self._usual_ports.items() if port != self._server.port}
        looks = [
            self._look.in_tls(port) if security is ConnectionSecurity.IMPLICIT_TLS else self._look.in_clear(port)
            for port, security in ports.items()
        ]
        found = zip(ports, await asyncio.gather(*looks), strict=True)
        speaking = [(port, spoken.security) for port, spoken in found if spoken.security is not None]
        encrypted = [one for one in speaking if one[1] is not ConnectionSecurity.NONE]
        return next(iter(encrypted if self._server.secret else [*encrypted, *speaking]), None)

    def _pointing_to(self, neighbour: tuple[int, ConnectionSecurity] | None, found: ProbeFailure) -> ProbeFailure:
        if neighbour is None:
            return found
        port, security = neighbour
        explanation = (
            f"{found.explanation.rstrip('.')}; port {port} of this host answers, and {_BY_WORDS[security]}."
        )
        changes: list[Change] = [Change(Setting.PORT, suggested=port)]
        suggested = self._unless_it_bares(security)
        if suggested is not self._server.security:
            changes.append(Change(Setting.SECURITY, suggested=suggested))
        return replace(found, explanation=explanation, changes=tuple(changes))

    async def _on_encryption(self, found: ProbeFailure, journal: Journal) -> ProbeFailure:
        session = await self._look.encryption(self._server.port, self._server.security)
        if session is None:
            return found
        journal.observe(tls=session)
        return with_presented(session, found, logs_in=self._server.secret is not None)


async def _stop(*tasks: "asyncio.Future[Any] | None") -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
