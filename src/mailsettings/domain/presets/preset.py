"""What a preset is: what a provider documents about sending through it, and where the documentation says so.

A blank, written `{name}`, stands for what only the organisation knows. No host name contains a brace, so a server
with an open blank in its host cannot be stored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mailsettings.domain.mail_server import ConnectionSecurity

_BLANK = re.compile(r"\{([a-z_]+)\}")


class LoginKind(StrEnum):
    """How a client logs in at the provider."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105  # a kind
    OAUTH2_CLIENT_CREDENTIALS = "oauth2_client_credentials"


@dataclass(frozen=True, slots=True)
class Blank:
    """A part of a preset that the organisation fills in; `default` serves most organisations."""

    name: str
    meaning: str
    example: str
    default: str | None = None
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class CommonRefusal:
    """A reply that the provider often gives, as far as it is always the same, and what to do."""

    reply: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Source:
    """A page with the facts, and when it was read; `note` says what this page does not confirm."""

    url: str
    read_on: date
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The settings for one way to send through a provider; texts may have blanks.

    `fields` are the texts of the login by the names of a mail server's settings, such as `username`.
    `steps` are what an administrator does at the provider first, in this order.
    """

    name: str
    title: str
    summary: str
    host: str
    port: int
    security: ConnectionSecurity
    login: LoginKind
    fields: Mapping[str, str]
    blanks: Sequence[Blank]
    steps: Sequence[str]
    refusals: Sequence[CommonRefusal]
    sources: Sequence[Source]

    @property
    def texts(self) -> Sequence[str]:
        """All texts that may have blanks."""
        return (self.host, *self.fields.values())


def blanks_in(text: str) -> list[str]:
    """Return the names of the blanks in *text*, in their order."""
    return _BLANK.findall(text)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with the blanks of *values* filled in; other blanks stay."""
    return _BLANK.sub(lambda blank: values.get(blank[1], blank[0]), text)


SENDER = Blank("sender", "the address that mails come from", "reports@example.com")
