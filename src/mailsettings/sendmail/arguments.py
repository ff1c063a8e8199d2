"""The options of sendmail, as its callers pass them.

Without argparse and getopt, which cost more processor time than the rest of the program.
"""

from mailsettings.sendmail.failure import USAGE, Failed

_WITH_VALUE = frozenset("ABCFLNORVXbfhopr")
"""Options with a value, which is the rest of the word or the next word."""
_WITH_REST = frozenset("deq")
"""Options with a value only in the same word: `-q15m`, `-em`."""
_FLAGS = frozenset("EGITUimnstvx")
_MODES = frozenset("msiph")
"""Deliver, SMTP on standard input, rebuild aliases, print the queue, print the status of hosts."""


class Arguments:
    """What the caller asks for."""

    def __init__(self) -> None:
        self.mode = "m"
        self.reads_recipients = False
        self.dot_ends = True
        self.sender: str | None = None
        self.full_name = ""
        self.config: str | None = None
        self.recipients: list[str] = []


def parse(name: str, words: list[str]) -> Arguments:
    """Return what *words* ask for; *name* is the name that the program is called by."""
    arguments = Arguments()
    arguments.mode = {"mailq": "p", "newaliases": "i"}.get(name.rpartition("/")[2], "m")
    waiting = words[::-1]
    while waiting:
        word = waiting.pop()
        if word == "--":
            arguments.recipients += waiting[::-1]
            break
        if word.startswith("-") and word != "-":
            _take(arguments, word[1:], waiting)
        else:
            arguments.recipients.append(word)
    return arguments


def _take(arguments: Arguments, letters: str, waiting: list[str]) -> None:
    """Apply a word of options, such as `-ti` or `-FCronDaemon`."""
    for position, letter in enumerate(letters):
        rest = letters[position + 1 :]
        if letter in _WITH_VALUE:
            if not rest and not waiting:
                raise Failed(USAGE, f"the option -{letter} needs a value")
            _apply(arguments, letter, rest or waiting.pop())
            return
        if letter in _WITH_REST:
            _apply(arguments, letter, rest)
            return
        if letter not in _FLAGS:
            raise Failed(USAGE, f"the option -{letter} is unknown")
        _apply(arguments, letter, "")


def _apply(arguments: Arguments, letter: str, value: str) -> None:
    """Store what an option says; the options without a meaning here are accepted and ignored."""
    if letter == "b":
        _choose_mode(arguments, value)
    elif letter == "q":
        arguments.mode = "p"
    elif letter == "t":
        arguments.reads_recipients = True
    elif letter == "i" or (letter == "o" and value == "i"):
        arguments.dot_ends = False
    elif letter in "fr":
        arguments.sender = value
    elif letter == "F":
        arguments.full_name = value
    elif letter == "C":
        arguments.config = value


def _choose_mode(arguments: Arguments, value: str) -> None:
    mode = value.lower()[:1]
    if mode not in _MODES:
        raise Failed(
            USAGE, f"the option -b{value[:1]} is not supported: this program submits mail, and nothing else"
        )
    arguments.mode = mode
