"""Find settings that would work, after the first connection failed or while it stays silent.

The first connection follows the settings, and is alone at first. Further connections never send anything before a
greeting on ports where the server greets first: mail servers delay the greeting on purpose and reject clients that
do not wait (sendmail's greet_pause, Postfix's postscreen), and fail2ban reads their logs. See docs/decisions/0004.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage, SuggestedChange
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.observation import AddressAttempt
from mailsettings.domain.setting import Setting
from mailsettings.smtp.diagnosis.failures import not_smtp
from mailsettings.smtp.diagnosis.handshake import DHE_ONLY
from mailsettings.smtp.diagnosis.inspection import (
    INSPECTION_TIMEOUT_SECONDS,
    KnownPorts,
    PortInspector,
    PortProtocol,
    ScanTimeouts,
)
from mailsettings.smtp.diagnosis.tls import TLS_CODES, add_certificate_details, client_certificate_failure
from mailsettings.smtp.errors import StageFailed
from mailsettings.smtp.journal import Journal

_NO_CONNECTION_CODES = {FailureCode.CONNECTION_REFUSED, FailureCode.CONNECTION_TIMED_OUT}
_USE_ENCRYPTION_STEPS = (
    "Use a port with encryption, 587 with STARTTLS or 465 with implicit TLS: otherwise others can read the login.",
    "Or ask the server's administrator to offer encryption.",
)
_NOTHING_FOUND_STEPS = (
    "Check the port: 587 with STARTTLS and 465 with implicit TLS are common.",
    "Ask the server's administrator for the right port and connection security.",
)
_HANDSHAKE_CODES = {
    FailureCode.CONNECTION_LOST,
    FailureCode.TLS_HANDSHAKE_FAILED,
    FailureCode.TLS_NO_COMMON_ALGORITHM,
}
_SECURITY_IN_WORDS = {
    ConnectionSecurity.NONE: "uses no encryption",
    ConnectionSecurity.STARTTLS: "offers STARTTLS",
    ConnectionSecurity.IMPLICIT_TLS: "uses implicit TLS",
}

T = TypeVar("T")
Scan = Callable[[ProbeFailure, Journal], Awaitable[ProbeFailure]]


class FallbackScan:
    """Looks for other settings that reach *server*; *ports* names the usual ports that it may try.

    It calls *announce* before it connects.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # each belongs to one test or to all
        self,
        inspection: PortInspector,
        server: MailServer,
        ports: KnownPorts,
        timeouts: ScanTimeouts,
        turns: asyncio.Semaphore,
        announce: Callable[[], None],
    ) -> None:
        self._inspection = inspection
        self._server = server
        self._ports = ports
        self._timeouts = timeouts
        self._turns = turns
        self._announce = announce
        self._other_port: tuple[int, ConnectionSecurity] | None = None
        self._settled: ProbeFailure | None = None

    def use_attempts(self, attempts: Sequence[AddressAttempt]) -> None:
        """Inspect the address that answered the first connection."""
        self._inspection.use_attempts(attempts)

    async def while_waiting(self, stage: ProbeStage, work: Awaitable[T]) -> T:
        """Return the result of *work*; scan while it waits, and end the wait when the scan finds the cause.

        Raises `StageFailed`, and the errors of *work*.
        """
        working = asyncio.ensure_future(work)
        scanning = asyncio.ensure_future(self._scan_silent_port(stage))
        try:
            await asyncio.wait({working, scanning}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and scanning.exception():
                await asyncio.wait({working}, timeout=self._timeouts.grace)
                if not working.done():
                    scanning.result()  # raises
            return await working
        finally:
            await _cancel(working, scanning)

    async def improve(self, found: ProbeFailure, journal: Journal) -> ProbeFailure:
        """Return a more specific failure than *found* if the scan finds it; add certificates to *journal*."""
        if self._settled and not journal.greeted:
            return self._settled
        if found.code is FailureCode.DEADLINE_EXCEEDED:  # no time is left to scan
            return found if journal.greeted or self._other_port is None else self._suggest_other_port(found)
        scan = self._choose_scan(found, journal)
        if scan is None:
            return found
        async with self._turns:
            self._announce()
            return await scan(found, journal)

    def _choose_scan(self, found: ProbeFailure, journal: Journal) -> Scan | None:
        """Return the scan that may explain *found*, if any."""
        if found.code in _NO_CONNECTION_CODES:
            return self._scan_unreachable
        if found.code is FailureCode.STARTTLS_NOT_OFFERED:
            return self._scan_for_encryption
        if self._may_be_wrong_security(found, journal):
            return self._scan_security
        if found.code in TLS_CODES and found.stage is ProbeStage.SECURE:
            return self._inspect_encryption
        return None

    async def _scan_silent_port(self, stage: ProbeStage) -> None:
        """Inspect a silent port, then the other ports. Raises `StageFailed` with the cause once it is known."""
        clear_on_tls_port = stage is ProbeStage.GREET and not self._implicit and self._is_tls_port
        first = self._timeouts.implicit_tls if clear_on_tls_port else self._timeouts.silence
        await asyncio.sleep(first)
        async with self._turns:
            self._announce()
            timeouts = self._timeouts
            self._settled = await self._security_failure(
                stage, timeouts.reply, speak_after=timeouts.before_speaking
            )
        if self._settled:
            raise StageFailed.of(self._settled)
        await asyncio.sleep(self._timeouts.silence - first)
        async with self._turns:
            self._other_port = await self._find_other_port()

    async def _scan_unreachable(self, found: ProbeFailure, _journal: Journal) -> ProbeFailure:
        self._other_port = await self._find_other_port()
        return self._suggest_other_port(found)

    async def _scan_security(self, found: ProbeFailure, journal: Journal) -> ProbeFailure:
        if better := await self._security_failure(
            found.stage, INSPECTION_TIMEOUT_SECONDS, speak_after=self._timeouts.silence
        ):
            return better
        if found.code is FailureCode.WRONG_CONNECTION_SECURITY:
            begin = found.explanation.rstrip(".")
            return replace(
                found,
                explanation=f"{begin}; the test found no other way to use this port.",
                steps=_NOTHING_FOUND_STEPS,
            )
        in_tls = found.code in TLS_CODES and found.stage is ProbeStage.SECURE
        return await self._inspect_encryption(found, journal) if in_tls else found

    @property
    def _implicit(self) -> bool:
        return self._server.security is ConnectionSecurity.IMPLICIT_TLS

    @property
    def _is_tls_port(self) -> bool:
        return self._server.port in self._ports.implicit_tls

    def _may_be_wrong_security(self, found: ProbeFailure, journal: Journal) -> bool:
        """Return whether *found* may come from a wrong connection security: no reply fitted it so far."""
        if found.code is FailureCode.WRONG_CONNECTION_SECURITY:
            return True
        if journal.greeted or found.code not in {FailureCode.CONNECTION_LOST, FailureCode.NOT_SMTP}:
            return False
        if self._implicit:
            return found.stage in {ProbeStage.SECURE, ProbeStage.GREET}
        # A server that closed in silence may be about to ban this machine: connect again only to TLS ports.
        return found.stage is ProbeStage.GREET and (self._is_tls_port or found.code is FailureCode.NOT_SMTP)

    async def _security_failure(self, stage: ProbeStage, wait: float, speak_after: float) -> ProbeFailure | None:
        """Return a failure with the protocol of this port, if it differs from the settings."""
        settled = self._ports.are_settled(self._server.port)
        protocol = await self._inspect_other_mode(stage, wait, None if settled else speak_after)
        if protocol.other is not None:
            return not_smtp(stage, protocol.other)
        if protocol.security is None:
            return None
        suggested = self._safe_suggestion(protocol.security)
        change = SuggestedChange(Setting.SECURITY, suggested=suggested)
        explanation = f"this port {_SECURITY_IN_WORDS[protocol.security]}."
        code = FailureCode.WRONG_CONNECTION_SECURITY
        if suggested is None:
            return failure(code, stage, explanation=explanation, steps=_USE_ENCRYPTION_STEPS, changes=(change,))
        return failure(code, stage, explanation=explanation, changes=(change,))

    async def _inspect_other_mode(self, stage: ProbeStage, wait: float, speak_after: float | None) -> PortProtocol:
        """Inspect the port in the mode that the settings do not use."""
        port, inspector = self._server.port, self._inspection
        if self._implicit and stage is ProbeStage.SECURE:
            patient = self._timeouts.silence if port in self._ports.greeting else wait
            protocol = await inspector.inspect_unencrypted(port, wait=patient, speak_after=speak_after)
            return PortProtocol() if protocol.other == "TLS" else protocol  # TLS is what the settings expect
        if self._implicit:
            return PortProtocol(
                other=(await inspector.inspect_tls(port, wait=wait, speak_after=speak_after)).other
            )
        if port in self._ports.greeting:
            return PortProtocol()
        protocol = await inspector.inspect_tls(port, wait=wait, speak_after=speak_after)
        if protocol.is_known or self._is_tls_port:
            return protocol
        return PortProtocol(
            other=(await inspector.inspect_unencrypted(port, wait=wait, speak_after=speak_after)).other
        )

    def _safe_suggestion(self, security: ConnectionSecurity) -> ConnectionSecurity | None:
        """Return *security*, but never "no encryption" for settings with a login."""
        return None if security is ConnectionSecurity.NONE and self._server.secret else security

    async def _scan_for_encryption(self, found: ProbeFailure, _journal: Journal) -> ProbeFailure:
        """Look for a port with encryption; suggest no encryption only to settings without a login."""
        self._other_port = await self._find_other_port()
        if self._other_port is not None:
            return self._suggest_other_port(found)
        suggested = self._safe_suggestion(ConnectionSecurity.NONE)
        changes = (SuggestedChange(Setting.SECURITY, suggested=suggested),)
        return replace(self._suggest_other_port(found), changes=changes)

    async def _find_other_port(self) -> tuple[int, ConnectionSecurity] | None:
        """Return the best usual port of this host that answers, and its connection security.

        A port without encryption counts only for settings without a login, and only if no port encrypts.
        """
        in_clear: tuple[int, ConnectionSecurity] | None = None
        for port in self._other_ports:
            protocol = await self._inspect_other_port(port)
            if protocol.security is ConnectionSecurity.NONE:
                in_clear = in_clear or (port, protocol.security)
            elif protocol.security is not None:
                return port, protocol.security
        return None if self._server.secret else in_clear

    @property
    def _other_ports(self) -> list[int]:
        return [port for port in self._ports.usual if port != self._server.port]

    async def _inspect_other_port(self, port: int) -> PortProtocol:
        implicit = self._ports.usual[port] is ConnectionSecurity.IMPLICIT_TLS
        return await (
            self._inspection.inspect_tls(port) if implicit else self._inspection.inspect_unencrypted(port)
        )

    def _suggest_other_port(self, found: ProbeFailure) -> ProbeFailure:
        """Return *found* with the port that works, or with the list of ports that do not."""
        begin = found.explanation.rstrip(".")
        if self._other_port is None:
            looked = ", ".join(map(str, self._other_ports))
            nothing = f"{begin}; of its other usual ports ({looked}) none offers a better way."
            return replace(found, explanation=nothing) if looked else found
        port, security = self._other_port
        changes: list[SuggestedChange] = [SuggestedChange(Setting.PORT, suggested=port)]
        suggested = self._safe_suggestion(security)
        if suggested is not self._server.security:
            changes.append(SuggestedChange(Setting.SECURITY, suggested=suggested))
        explanation = f"{begin}; port {port} of this host answers, and {_SECURITY_IN_WORDS[security]}."
        return replace(found, explanation=explanation, changes=tuple(changes))

    async def _inspect_encryption(self, found: ProbeFailure, journal: Journal) -> ProbeFailure:
        session = await self._inspection.tls_session(self._server.port, self._server.security)
        if session is None:
            return await self._inspect_key_exchange(found) if found.code in _HANDSHAKE_CODES else found
        journal.observe(tls=session)
        return add_certificate_details(session, found, logs_in=self._server.secret is not None)

    async def _inspect_key_exchange(self, found: ProbeFailure) -> ProbeFailure:
        port, security = self._server.port, self._server.security
        problem = await self._inspection.diagnose_dhe(port, security)
        if problem is None:
            demanded = await self._inspection.requires_client_certificate(port, security)
            return client_certificate_failure(found) if demanded else found
        said = "" if problem == DHE_ONLY else f", and OpenSSL says of it: {problem}"
        explanation = f"the server offers {DHE_ONLY} (DHE){said}; connection tests need ECDHE (RFC 9325 4.2)."
        steps = ("Ask the server's administrator to offer ECDHE key exchange, or TLS 1.3.",)
        code = FailureCode.TLS_KEY_EXCHANGE_WEAK if said else FailureCode.TLS_NO_COMMON_ALGORITHM
        return failure(code, found.stage, explanation=explanation, steps=steps)


async def _cancel(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
