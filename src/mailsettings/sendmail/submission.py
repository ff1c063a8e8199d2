"""One submission: login, envelope and content; each refusal ends in the exit code that its caller understands."""

from binascii import b2a_base64

from mailsettings.sendmail.config_file import Config
from mailsettings.sendmail.connection import Connection, Reply
from mailsettings.sendmail.content import Content
from mailsettings.sendmail.failure import CONFIG, DATA, NO_USER, TRY_LATER, UNAVAILABLE, Failed

_MAX_COMMAND = 512
_MAX_PIPELINED = 50
"""More commands than that in one flight could block both sides, each full of unread bytes (RFC 2920 3.1)."""
_UNKNOWN_RECIPIENT = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4")
_BAD_CONTENT = ("5.2.3", "5.3.4", "5.4.6", "5.6.")


def submit(config: Config, sender: bytes, recipients: list[bytes], content: Content) -> None:
    """Submit the message; raise `Failed` if the server did not accept it for every recipient."""
    connection = Connection(config)
    try:
        log_in(connection, config)
        refused = _envelope(connection, sender, recipients, content)
        _transfer(connection, content)
    finally:
        connection.quit()
    if refused:
        accepted = len(recipients) - len(refused)
        raise Failed(
            _worst(list(refused.values())),
            f"sent to {accepted} of {len(recipients)} recipients; {_named(refused)}",
        )


def log_in(connection: Connection, config: Config) -> None:
    """Log in, if the settings have a user."""
    if not config.user:
        return
    offered = connection.offers.get("AUTH", "").split()
    user, secret = config.user.encode(), config.secret.encode()
    if "PLAIN" in offered:
        reply = _plain(connection, _base64(b"\0" + user + b"\0" + secret))
    elif "LOGIN" in offered:
        reply = _login(connection, _base64(user), _base64(secret))
    else:
        raise Failed(CONFIG, "the mail server offers no login by AUTH PLAIN or LOGIN on this connection")
    connection.expect(reply, 235, "rejected the login with user and secret of the settings", CONFIG)


def _plain(connection: Connection, response: bytes) -> Reply:
    """Send the response with the command where it fits (RFC 4954 4)."""
    connection.hide(response)
    command = b"AUTH PLAIN " + response
    if len(command) + 2 <= _MAX_COMMAND:
        return connection.ask(command)
    reply = connection.ask(b"AUTH PLAIN")
    return connection.ask(response) if reply.code == 334 else reply  # noqa: PLR2004 - RFC 4954


def _login(connection: Connection, *responses: bytes) -> Reply:
    reply = connection.ask(b"AUTH LOGIN")
    for response in responses:
        connection.hide(response)
        if reply.code != 334:  # noqa: PLR2004 - RFC 4954
            break
        reply = connection.ask(response)
    return reply


def _envelope(
    connection: Connection, sender: bytes, recipients: list[bytes], content: Content
) -> dict[bytes, Reply]:
    """Send envelope and DATA; return the refused recipients. With PIPELINING, without waiting for each reply."""
    commands = [
        _mail(connection, sender, recipients, content),
        *(b"RCPT TO:<%s>" % one for one in recipients),
        b"DATA",
    ]
    batch = _MAX_PIPELINED if "PIPELINING" in connection.offers else 1
    replies = list[Reply]()
    for start in range(0, len(commands), batch):
        if commands[start] == b"DATA" and not any(map(_is_accepted, replies[1:])):
            break
        connection.send(b"".join(command + b"\r\n" for command in commands[start : start + batch]))
        replies += [connection.read() for _ in commands[start : start + batch]]
        if not _is_accepted(replies[0]):
            break
    refused = {one: reply for one, reply in zip(recipients, replies[1:], strict=False) if not _is_accepted(reply)}
    _require_accepted(connection, recipients, replies, refused)
    return refused


def _mail(connection: Connection, sender: bytes, recipients: list[bytes], content: Content) -> bytes:
    command = b"MAIL FROM:<%s>" % sender
    if "SIZE" in connection.offers:
        command += b" SIZE=%d" % content.size
    if not content.is_ascii and "8BITMIME" in connection.offers:
        command += b" BODY=8BITMIME"
    if not all(map(bytes.isascii, (sender, *recipients))):
        if "SMTPUTF8" not in connection.offers:
            raise Failed(
                DATA, "an address has characters outside ASCII, and the mail server takes no such address"
            )
        command += b" SMTPUTF8"
    return command


def _require_accepted(
    connection: Connection, recipients: list[bytes], replies: list[Reply], refused: dict[bytes, Reply]
) -> None:
    """Raise `Failed` unless the server waits for the content and has a recipient for it."""
    mail, *rest = replies
    connection.expect(mail, 250, "rejected the sender", DATA if _is_bad_content(mail) else UNAVAILABLE)
    if len(refused) == len(recipients):
        if rest[-1].code == 354:  # noqa: PLR2004 - RFC 2920 3.1: a lone dot ends what has no recipient
            connection.ask(b".")
        raise Failed(_worst(list(refused.values())), _named(refused))
    connection.expect(rest[-1], 354, "rejected DATA", _permanent(rest[-1]))


def _transfer(connection: Connection, content: Content) -> None:
    """Send the content; the reply to its final dot decides."""
    try:
        for chunk in content:
            connection.send(chunk)
        connection.send(b".\r\n")
    except OSError:
        pass  # the server may have said why
    try:
        reply = connection.read()
    except Failed as failed:
        raise Failed(failed.code, f"{failed} after it got the message: it may or may not be sent") from None
    connection.expect(reply, 250, "rejected the message", _permanent(reply))


def _is_accepted(reply: Reply) -> bool:
    return reply.code in {250, 251, 252}


def _is_bad_content(reply: Reply) -> bool:
    """Whether the server refuses the message for itself: too large, malformed, or in a loop (RFC 3463)."""
    return reply.code == 552 or reply.text[4:].startswith(_BAD_CONTENT)  # noqa: PLR2004 - RFC 5321 4.2.3


def _permanent(reply: Reply) -> int:
    return DATA if _is_bad_content(reply) else UNAVAILABLE


def _worst(replies: list[Reply]) -> int:
    """Return the exit code for refused recipients; a permanent refusal counts more than a temporary one."""
    permanent = [reply for reply in replies if not reply.is_temporary]
    if not permanent:
        return TRY_LATER
    return NO_USER if all(map(_is_unknown, permanent)) else UNAVAILABLE


def _is_unknown(reply: Reply) -> bool:
    enhanced = reply.text[4:].partition(" ")[0]
    return enhanced in _UNKNOWN_RECIPIENT or (not enhanced.startswith("5.") and reply.code in {550, 551, 553})


def _named(refused: dict[bytes, Reply]) -> str:
    shown = (f"{recipient.decode(errors='replace')}: {reply.text}" for recipient, reply in refused.items())
    return "the mail server rejected " + "; ".join(shown)


def _base64(text: bytes) -> bytes:
    return b2a_base64(text, newline=False)
