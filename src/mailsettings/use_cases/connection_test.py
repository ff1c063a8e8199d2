"""Testing a mail server, given or stored. No transaction is open while the server is spoken to."""

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.probe import ProbeReport
from mailsettings.use_cases.admission import Admission, ProbeLimits
from mailsettings.use_cases.mail_servers import KeepMailServers
from mailsettings.use_cases.ports import Prober


class ProbeMailServers:
    """Connection tests on behalf of a principal."""

    def __init__(self, mail_servers: KeepMailServers, prober: Prober, limits: ProbeLimits) -> None:
        self._mail_servers = mail_servers
        self._prober = prober
        self._admission = Admission(limits)

    async def given(self, caller: Principal, server: MailServer, recipient: str | None) -> ProbeReport:
        """Test *server* as it is; no stored secret is lent to it. Raises `PermissionDenied`, `TooManyProbes`."""
        caller.require(Permission.MAIL_SERVERS_TEST)
        with self._admission.admit(caller):
            return await self._prober.probe(server, recipient)

    async def stored(self, caller: Principal, server_id: int | None, recipient: str | None) -> ProbeReport:
        """Test the stored server of this id, or the default one.

        Raises `PermissionDenied`, `MailServerNotFound`, `TooManyProbes`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        if server_id is None:
            stored = await self._mail_servers.get_default(caller)
        else:
            stored = await self._mail_servers.get(caller, server_id)
        with self._admission.admit(caller):
            return await self._prober.probe(stored.server, recipient)
