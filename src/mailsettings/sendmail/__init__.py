"""`mailsettings-sendmail`: submits mail to the relay or another submission server, called like sendmail.

A program of its own: it starts for every mail, so it uses the standard library only, and few modules of that. It
imports nothing else of this project.
"""

import os
import sys
from io import BufferedIOBase, BufferedReader

from mailsettings.sendmail import header
from mailsettings.sendmail.addresses import checked, mailboxes, qualified
from mailsettings.sendmail.arguments import Arguments, parse
from mailsettings.sendmail.config_file import Config, read
from mailsettings.sendmail.content import Content, lines_of
from mailsettings.sendmail.failure import OK, TRY_LATER, USAGE, Failed


def main() -> None:
    """Run the program, and exit with a code of sysexits.h."""
    with _input() as stream:
        sys.exit(run(sys.argv, stream))


def _input() -> BufferedReader:
    try:
        return open(0, "rb", closefd=False)
    except OSError:  # the caller closed standard input
        return open(os.devnull, "rb")  # noqa: PTH123 - pathlib costs more than this module


def run(words: list[str], stream: BufferedIOBase) -> int:
    """Do what the caller asks for with the message in *stream*; return the exit code."""
    try:
        arguments = parse(words[0], words[1:])
        if arguments.mode == "m":
            _send(arguments, stream)
        elif arguments.mode == "s":
            _converse(arguments)
        else:
            print("There is no queue and no alias file: mail is submitted at once, or the caller gets an error.")  # noqa: T201 - a program
    except Failed as failed:
        print(f"{words[0].rpartition('/')[2]}: {failed}", file=sys.stderr)  # noqa: T201  # how programs report
        return failed.code
    except OSError as error:
        print(f"{words[0].rpartition('/')[2]}: {error.strerror or error}", file=sys.stderr)  # noqa: T201  # as above
        return TRY_LATER
    return OK


def _send(arguments: Arguments, stream: BufferedIOBase) -> None:
    from mailsettings.sendmail.submission import submit  # noqa: PLC0415 - needs ssl, which costs half of the time

    config = read(arguments.config)
    sender = header.sender_of(arguments.sender, config.sender, config.local_address)
    recipients, content = _message(arguments, config, sender, stream)
    try:
        submit(config, sender, recipients, content)
    finally:
        content.close()


def _converse(arguments: Arguments) -> None:
    from mailsettings.sendmail.tunnel import converse  # noqa: PLC0415 - as above

    converse(read(arguments.config))


def _message(
    arguments: Arguments, config: Config, sender: bytes, stream: BufferedIOBase
) -> tuple[list[bytes], Content]:
    """Read the message; return its recipients and its wire form."""
    lines = lines_of(stream, dot_ends=arguments.dot_ends)
    fields, body = header.read(lines)
    recipients = _recipients(arguments, fields, config.local_address)
    content = Content()
    originator = sender or config.sender.encode()
    content.add(header.finished(fields, originator, arguments.full_name, config.local_address) + body)
    if arguments.dot_ends:
        for line in lines:
            content.add(line)
    else:
        content.add_all(stream)
    content.end()
    return recipients, content


def _recipients(arguments: Arguments, fields: list[header.Field], local_address: str) -> list[bytes]:
    """Return each recipient once, in order: those of the arguments, with -t also those of the header."""
    given = (word.encode(errors="surrogateescape") for word in arguments.recipients)
    named = [address for word in given for _, _, address in mailboxes(word)]
    if arguments.reads_recipients:
        named += header.recipients(fields)
    if not named:
        raise Failed(USAGE, "the message has no recipients: name them as arguments, or use -t and a To field")
    return list(dict.fromkeys(qualified(checked(address), local_address) for address in named))
