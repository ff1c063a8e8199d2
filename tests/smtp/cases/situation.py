"""A situation: the behaviour of a server, the settings, and the expected advice to the administrator.

Each comes from a public report, an RFC or a provider's page, and names it. A new situation takes about ten lines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ssl import SSLContext

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    NoAuthentication,
    PasswordAuthentication,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret

NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
RESOLVE, CONNECT, SECURE, GREET = ProbeStage.RESOLVE, ProbeStage.CONNECT, ProbeStage.SECURE, ProbeStage.GREET
AUTH, SENDER, RCPT, CONTENT = (
    ProbeStage.AUTHENTICATE,
    ProbeStage.SENDER,
    ProbeStage.RECIPIENT,
    ProbeStage.CONTENT,
)
LOGIN = PasswordAuthentication("scans@example.org", Secret("canary-password-9f31"))
NO_LOGIN = NoAuthentication()
Reply = str | Callable[[str], str]
"""What the server says; a function is given the line that it answers. `CUT` is where the network cuts it."""
CUT = "<cut>"
SILENT, CLOSE = "<stays silent>", "<closes>"
"""What a server can do in place of a reply."""
WAITING = ("try again", "wait", "minutes", "later")
"""Words that send an administrator away to wait; wrong wherever waiting changes nothing."""


@dataclass(frozen=True)
class Situation:
    """One server, the settings that meet it, and what is right and wrong to say.

    `says` has the server's reply to each verb, `greeting`, `EHLO` (and `EHLO after TLS`), `AUTH`, `MAIL`, `RCPT`,
    `DATA` and `dot`; what follows a 334 is `AUTH 2`, `AUTH 3`. A verb that is left out is answered as it should be. `code` None means that the test passes.
    `told` must all be said in every API, `never` must not be said in any; the server's own reply does not count.
    """

    name: str
    source: str
    says: Mapping[str, Reply]
    code: FailureCode | None = None
    stage: ProbeStage | None = None
    field: Setting | None = None
    told: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    security: ConnectionSecurity = NONE
    login: Authentication = LOGIN
    tls: Callable[[SSLContext], None] | None = None
    suggested: object = None
    deadline: float = 8
    host: str = "mail.example.com"
