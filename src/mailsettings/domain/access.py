"""Who may do what: permissions are what our code asks for, grants are the names an organisation hands out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailsettings.domain.errors import InvalidSetting, PermissionDenied
from mailsettings.domain.setting import Setting

LONGEST_NAME = 255


class Permission(StrEnum):
    """`<resource>:<action>`; keep alphabetized."""

    MAIL_SERVERS_READ = "mail-servers:read"
    MAIL_SERVERS_TEST = "mail-servers:test"
    MAIL_SERVERS_WRITE = "mail-servers:write"


Grants = Mapping[str, frozenset[Permission]]
"""What each grant, a vendor's name for a set of permissions, allows."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller."""

    name: str
    permissions: frozenset[Permission]

    def require(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless this principal has *permission*."""
        if permission not in self.permissions:
            raise PermissionDenied(permission)


OPERATOR = Principal("operator", frozenset(Permission))
"""Whoever runs our command line on the machine itself: the files are theirs, so all is allowed."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person or machine that can log in; `grants` are names, looked up at each use."""

    name: str
    grants: frozenset[str]

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > LONGEST_NAME or not self.name.isprintable():
            problem = f"must be 1 to {LONGEST_NAME} printable characters."
            raise InvalidSetting(Setting.USERNAME, problem)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account with the hash of its password."""

    account: Account
    password_hash: str = field(repr=False)
