"""Who may do what: permissions are what our code asks for, grants are the names an organisation hands out."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailsettings.domain.errors import InvalidSetting, PermissionDenied
from mailsettings.domain.setting import Setting

MAX_ACCOUNT_NAME_LENGTH = 255
MAX_TOKEN_LIFETIME_SECONDS = 366 * 86400
"""The longest lifetime of an access token, for tokens that have no account; a year from any day."""
ISSUER_SEPARATOR = "|"
"""Stands between the issuer and the name of somebody whom another issuer vouches for; in no name of ours."""


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
"""All that can be done with mail servers."""

Grants = Mapping[str, frozenset[Permission]]
"""What each grant, a name for a set of permissions, allows."""


@dataclass(frozen=True, slots=True)
class Origin:
    """From where a caller speaks: the network address, the request by its id, and the API by its name.

    Entries of the audit log have the first two, so two origins are equal by these.
    """

    address: str | None = None
    request_id: str | None = None
    api: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller."""

    name: str
    permissions: frozenset[Permission]
    origin: Origin = Origin()

    def require(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless this principal has *permission*."""
        if permission not in self.permissions:
            raise PermissionDenied(permission)


OPERATOR = Principal("operator", frozenset(Permission))
"""Whoever runs our command line on the machine itself: the files are theirs, so all is allowed."""
MONITORING = Principal("watch", frozenset())
"""This program itself, when it looks at mail servers on schedule."""


class AccountKind(StrEnum):
    """Who logs in by it."""

    USER = "user"
    CLIENT = "client"
    """A machine: an OAuth2 client with a secret (RFC 6749 4.4)."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person or machine that can log in; `grants` are names, looked up at each use."""

    name: str
    grants: frozenset[str]
    kind: AccountKind = AccountKind.USER

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > MAX_ACCOUNT_NAME_LENGTH or not self.name.isprintable():
            problem = f"must be 1 to {MAX_ACCOUNT_NAME_LENGTH} printable characters."
            raise InvalidSetting(Setting.USERNAME, problem)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account with the hash of its password; a new password comes with a new `stamp`, which ends old tokens."""

    account: Account
    password_hash: str = field(repr=False)
    stamp: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified access token says.

    `stamp` is that of the account it was issued to; None where the token speaks for itself.
    """

    subject: str
    grants: frozenset[str]
    expires_at: float
    stamp: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token and how many seconds it is good for."""

    text: str = field(repr=False)
    expires_in: int
