"""Why the program ends without success, in the exit codes that callers of sendmail know (sysexits.h)."""

OK = 0
USAGE = 64
DATA = 65
NO_USER = 67
UNAVAILABLE = 69
TRY_LATER = 75
CONFIG = 78


class Failed(Exception):
    """Ends the program with *code*; the message says what happened and what to do."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
