"""One row and one column of the matrix: a situation, and a server that can be brought into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity, PasswordAuthentication
from mailsettings.domain.values import Secret

NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
KNOWN, UNKNOWN, ELSEWHERE = "alice@example.org", "nobody@example.org", "bob@example.com"
PASSWORD, WRONG = "correct", "canary-wrong-5b0c"
CLIENT = "client.example.net"


@dataclass(frozen=True)
class Case:
    """What a test sends to a server; `code` None: it works. `ehlo_name` None: the address literal."""

    title: str
    port: int
    security: ConnectionSecurity
    code: FailureCode | None = None
    username: str | None = None
    password: str = PASSWORD
    recipient: str = KNOWN
    ehlo_name: str | None = CLIENT

    @property
    def login(self) -> PasswordAuthentication | None:
        """The login of the settings."""
        return PasswordAuthentication(self.username, Secret(self.password)) if self.username else None


@dataclass(frozen=True)
class Server:
    """A mail server of Debian: its package, its files, the command that runs it, and its cases."""

    name: str
    files: Mapping[str, str]
    start: str
    ports: tuple[int, ...]
    cases: Sequence[Case]
    punishes: Sequence[str] = ()
    """Words in its log that fail2ban's filters count."""


def usual(username: str) -> list[Case]:
    """Return the cases of every submission server."""
    return [
        Case("STARTTLS, login right", 587, STARTTLS, username=username),
        Case("implicit TLS, login right", 465, IMPLICIT, username=username),
        Case("login wrong", 587, STARTTLS, FailureCode.AUTHENTICATION_FAILED, username, WRONG),
        Case("login missing", 587, STARTTLS, FailureCode.AUTHENTICATION_REQUIRED),
        Case("STARTTLS on the TLS port", 465, STARTTLS, FailureCode.WRONG_CONNECTION_SECURITY, username),
        Case("implicit TLS on the STARTTLS port", 587, IMPLICIT, FailureCode.WRONG_CONNECTION_SECURITY, username),
    ]
