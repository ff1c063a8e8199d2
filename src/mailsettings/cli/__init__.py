"""The command line. It calls the same use cases as the APIs, as the operator."""

import gc

# Imports are most of what a command takes, and a third of that the collector, which looks again and again at
# what stays for good.
gc.disable()

from mailsettings.cli.commands import main  # noqa: E402  # after the collector has stopped

gc.freeze()
gc.enable()

__all__ = ["main"]
