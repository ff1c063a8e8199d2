"""The command line: what a person types. Calls the same use cases as the APIs, as the operator."""

from mailsettings.cli.commands import main

__all__ = ["main"]
