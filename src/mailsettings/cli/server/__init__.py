"""The commands about stored mail servers."""

from mailsettings.cli.server import settings, stored, testing, versions
from mailsettings.cli.server.group import server

__all__ = ["server", "settings", "stored", "testing", "versions"]
