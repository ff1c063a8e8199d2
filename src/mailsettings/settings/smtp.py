"""Settings about connection tests."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mailsettings.settings.base import Networks, Ports, SettingsGroup


class SMTPSettings(SettingsGroup):
    """Where tests may connect to, as whom, how long and how often."""

    smtp_egress: Literal["private", "public", "allowlist"] = Field(
        default="private",
        description="Where connection tests may connect to: `private` and public addresses, `public` ones "
        "only, or an `allowlist`: the allowed networks and nothing else.",
    )
    smtp_allowed_networks: Networks = Field(
        default=(),
        description="Networks in CIDR form, with commas between, that connection tests may reach although "
        "they are loopback, link-local or otherwise closed.",
    )
    smtp_allowed_ports: Ports = Field(
        default=(25, 465, 587, 1025, 2465, 2525, 2587),
        description="Ports that connection tests may use, with commas between.",
    )
    smtp_ehlo_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="The name given to mail servers in EHLO; by default this machine's full name in DNS, or else "
        "the address that it connects from.",
    )
    smtp_deadline_seconds: float = Field(
        default=15, gt=0, le=120, description="How long a whole connection test may take."
    )
    smtp_tests_at_once: int = Field(
        default=16,
        ge=1,
        le=10000,
        description="How many connection tests may run at once in one process, whosever they are.",
    )
    smtp_tests_at_once_each: int = Field(
        default=4,
        ge=1,
        le=10000,
        description="How many of one caller's may run at once, in all processes of one database together.",
    )
    smtp_tests_per_minute_each: int = Field(
        default=30,
        ge=1,
        le=10000,
        description="How many connection tests a caller may begin in a minute, in all of them together.",
    )
    smtp_ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities that mail servers are trusted by, beside the system's.",
    )
    smtp_cleartext_login: bool = Field(
        default=False,
        description="Whether a connection test may send a password over an unencrypted connection.",
    )
    oauth2_authority: str = Field(
        default="https://login.microsoftonline.com",
        pattern=r"^https://[^\s?#]+$",
        description="Where Microsoft access tokens are had; other clouds have another address.",
    )
