"""`python -m mailsettings` is the console script `mailsettings`."""

from mailsettings.cli import main

main()
