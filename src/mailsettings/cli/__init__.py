"""The command line. Its commands call the API of this project, in this process or at a running service."""

from mailsettings.cli.commands import main

__all__ = ["main"]
