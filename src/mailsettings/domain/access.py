"""Who may do what: the code requires permissions; an organisation assigns grants, which are named sets of them."""

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mailsettings.domain.errors import InvalidSetting, PermissionDenied
from mailsettings.domain.setting import Setting

MAX_ACCOUNT_NAME_LENGTH = 255
MIN_PASSWORD_LENGTH = 8
MAX_TOKEN_LIFETIME_SECONDS = 366 * 86400
"""The longest lifetime of an access token without an account: a year, leap years included."""
ISSUER_SEPARATOR = "|"
"""Separates issuer and name of a caller that another issuer authenticated; our own account names never contain
it."""


class Permission(StrEnum):
    """`<resource>:<action>`; keep alphabetized."""

    ACCOUNTS_MANAGE = "accounts:manage"
    AUDIT_READ = "audit:read"
    DEVICES_MANAGE = "devices:manage"
    KEYS_MANAGE = "keys:manage"
    MAIL_SERVERS_READ = "mail-servers:read"
    MAIL_SERVERS_TEST = "mail-servers:test"
    MAIL_SERVERS_WRITE = "mail-servers:write"
    MESSAGES_READ = "messages:read"
    METRICS_READ = "metrics:read"


ALL_MAIL_SERVER_PERMISSIONS = frozenset(
    {Permission.MAIL_SERVERS_READ, Permission.MAIL_SERVERS_TEST, Permission.MAIL_SERVERS_WRITE}
)
"""Every permission on mail servers."""

MEANINGS: Mapping["Permission", str] = {
    Permission.ACCOUNTS_MANAGE: "Manage accounts and clients, with permissions that the caller has.",
    Permission.AUDIT_READ: "Read and verify the audit log.",
    Permission.DEVICES_MANAGE: "Manage the devices and programs that may send mail through this service.",
    Permission.KEYS_MANAGE: "Manage the keys that encrypt secrets and sign access tokens.",
    Permission.MAIL_SERVERS_READ: "Read mail servers, their health and their history.",
    Permission.MAIL_SERVERS_TEST: "Test mail servers.",
    Permission.MAIL_SERVERS_WRITE: "Change mail servers, and read the settings of the service.",
    Permission.MESSAGES_READ: "Read which messages this service forwarded, and their results.",
    Permission.METRICS_READ: "Read the metrics of the service.",
}
"""What each permission allows, for people."""

Grants = Mapping[str, frozenset[Permission]]
"""The permissions that each grant stands for."""


def permissions_of(names: Iterable[str], grants: Grants) -> frozenset[Permission]:
    """Return the permissions of the grants *names*; an unknown name counts as all permissions.

    So only a caller with all permissions can give or manage a grant that this program does not know.
    """
    return frozenset[Permission]().union(*(grants.get(name, frozenset(Permission)) for name in names))


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
    """When one request arrived, on the clock `time.perf_counter`; each of its reads shows a time after that."""

    arrived: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller of one request; without `moment`, each read confirms by itself.

    `stamp` is the stamp of its account; None if the token stands for itself, or has another issuer.
    """

    name: str
    permissions: frozenset[Permission]
    origin: Origin = Origin()
    moment: Moment | None = field(default=None, compare=False, repr=False)
    stamp: str | None = field(default=None, compare=False, repr=False)

    @property
    def has_account(self) -> bool:
        """Whether the token stands for an account of this service."""
        return self.stamp is not None

    def require(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless this principal has *permission*."""
        if permission not in self.permissions:
            raise PermissionDenied(permission)

    def require_all(self, permissions: Iterable[Permission]) -> None:
        """Raise `PermissionDenied` unless this principal has all *permissions*."""
        for permission in sorted(permissions):
            self.require(permission)


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
        if problem := name_problem(self.name):
            raise InvalidSetting(Setting.USERNAME, problem)


def name_problem(name: str) -> str | None:
    """Return what is wrong with *name* as the name of an account, as the end of a sentence."""
    if not name or len(name) > MAX_ACCOUNT_NAME_LENGTH or not name.isprintable():
        return f"must be 1 to {MAX_ACCOUNT_NAME_LENGTH} printable characters."
    return None


def new_name_problem(name: str) -> str | None:
    """Return what is wrong with *name* for a new account, as the end of a sentence."""
    if ISSUER_SEPARATOR in name:
        return (
            f"must not have {ISSUER_SEPARATOR}, which is reserved for the names of an external issuer's callers."
        )
    if name.startswith(f"{OPERATOR.name}:"):
        return f"must not begin with {OPERATOR.name}:, which is reserved for operators."
    if name == MONITORING.name:
        return f"must not be {MONITORING.name}, which is reserved for scheduled checks."
    return name_problem(name)


def require_strong(password: str) -> None:
    """Raise `InvalidSetting` for a password that is too short."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidSetting(Setting.PASSWORD, f"must have at least {MIN_PASSWORD_LENGTH} characters.")


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account with the known facts about its logins; times are in seconds since the epoch.

    `locked_until` is the end of the longest wait after failed logins, which may concern some networks only.
    """

    account: Account
    created_at: datetime
    failed_logins: int = 0
    locked_until: float | None = None
    last_login_at: str | None = None
    """In the form of the audit log's `timestamp`."""


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
