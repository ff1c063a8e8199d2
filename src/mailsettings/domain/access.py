"""Who may do what: the code requires permissions; an organisation assigns grants, which are named sets of them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailsettings.domain.errors import InvalidSetting, PermissionDenied
from mailsettings.domain.setting import Setting

MAX_ACCOUNT_NAME_LENGTH = 255
MAX_TOKEN_LIFETIME_SECONDS = 366 * 86400
"""The longest lifetime of an access token without an account: a year, leap years included."""
ISSUER_SEPARATOR = "|"
"""Separates issuer and name of a caller that another issuer authenticated; our own account names never contain
it."""


class Permission(StrEnum):
    """`<resource>:<action>`; keep alphabetized."""

    AUDIT_READ = "audit:read"
    MAIL_SERVERS_READ = "mail-servers:read"
    MAIL_SERVERS_TEST = "mail-servers:test"
    MAIL_SERVERS_WRITE = "mail-servers:write"
    METRICS_READ = "metrics:read"


ALL_MAIL_SERVER_PERMISSIONS = frozenset(
    {Permission.MAIL_SERVERS_READ, Permission.MAIL_SERVERS_TEST, Permission.MAIL_SERVERS_WRITE}
)
"""Every permission on mail servers."""

Grants = Mapping[str, frozenset[Permission]]
"""The permissions that each grant stands for."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: its network address, its request id, and the name of the API.

    Audit log entries hold only the first two, so equality ignores the API.
    """

    address: str | None = None
    request_id: str | None = None
    api: str | None = field(default=None, compare=False)


@dataclass(slots=True)
class Moment:
    """A time after one request arrived; the reads of the request may share what the store confirms for it.

    The store sets `confirmed`. A moment belongs to one request: another request needs its own.
    """

    confirmed: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller of one request; without `moment`, each read confirms by itself."""

    name: str
    permissions: frozenset[Permission]
    origin: Origin = Origin()
    moment: Moment | None = field(default=None, compare=False, repr=False)

    def require(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless this principal has *permission*."""
        if permission not in self.permissions:
            raise PermissionDenied(permission)


OPERATOR = Principal("operator", frozenset(Permission))
"""The user of the command line on the machine itself, who owns the files and so may do everything."""
MONITORING = Principal("watch", frozenset())
"""The program itself when it runs scheduled checks; the audit log names it as the actor."""


class AccountKind(StrEnum):
    """Who logs in with the account."""

    USER = "user"
    CLIENT = "client"
    """A machine: an OAuth2 client with a secret (RFC 6749 4.4)."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person or machine that can log in; `grants` are names, resolved to permissions at each request."""

    name: str
    grants: frozenset[str]
    kind: AccountKind = AccountKind.USER

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > MAX_ACCOUNT_NAME_LENGTH or not self.name.isprintable():
            problem = f"must be 1 to {MAX_ACCOUNT_NAME_LENGTH} printable characters."
            raise InvalidSetting(Setting.USERNAME, problem)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account with the hash of its password.

    Each new password gets a new `stamp`, which makes tokens with the old stamp invalid.
    """

    account: Account
    password_hash: str = field(repr=False)
    stamp: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The content of a verified access token.

    `stamp` is the stamp of its account when it was issued; None for a token without an account.
    """

    subject: str
    grants: frozenset[str]
    expires_at: float
    stamp: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token and its lifetime in seconds."""

    # A bearer token works for any party that holds it (RFC 6750 1.2), so it stays out of logs.
    text: str = field(repr=False)
    expires_in: int
