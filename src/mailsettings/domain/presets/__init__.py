"""Presets: ready settings for well-known providers, and what their administrators switch on first."""

from mailsettings.domain.presets.amazon_ses import smtp_password
from mailsettings.domain.presets.clouds import CLOUDS
from mailsettings.domain.presets.mailboxes import MAILBOXES
from mailsettings.domain.presets.preset import (
    Blank,
    CommonRefusal,
    LoginKind,
    Preset,
    Source,
    blanks_in,
    filled,
)
from mailsettings.domain.presets.services import SERVICES

PRESETS = (*MAILBOXES, *CLOUDS, *SERVICES)
"""The providers of mailboxes first."""

__all__ = [
    "PRESETS",
    "Blank",
    "CommonRefusal",
    "LoginKind",
    "Preset",
    "Source",
    "blanks_in",
    "filled",
    "smtp_password",
]
