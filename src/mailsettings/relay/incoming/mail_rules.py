"""The rules for MAIL and RCPT: who may send what to how many, and how large (RFC 6409, RFC 1870)."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime

from mailsettings.domain.access import Moment
from mailsettings.domain.device import Device
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.client import Client, RelayParts
from mailsettings.relay.incoming.commands import MAX_PATH_LENGTH, Path, parse_path, require_address
from mailsettings.relay.incoming.header import Field
from mailsettings.relay.incoming.transaction import Transaction
from mailsettings.relay.outgoing import answers
from mailsettings.relay.outgoing.pools import MailCommand
from mailsettings.relay.replies import Refused

MAX_SIZE_DIGITS = 20  # RFC 1870 6.1
POSTMASTER = "postmaster"
"""The only address without a domain (RFC 5321 4.5.1)."""
_NAME_IN_HELLO = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


@contextmanager
def own_trouble() -> Iterator[None]:
    """Turn the absence of the database into a temporary refusal."""
    try:
        yield
    except StoreUnavailable:
        raise Refused(refusals.OWN_TROUBLE) from None


async def prepare(relay: RelayParts, transaction: Transaction, path: Path, moment: Moment) -> None:
    """Apply the rules for MAIL, and find the mail server after *moment*. Raises `Refused`, `StoreUnavailable`."""
    device, mail = transaction.said.device, _mail_command(path)
    sender = _require_sender(device, mail)
    transaction.server = server = await relay.services.mail_server(device, moment)
    if server is None:
        raise Refused(refusals.NO_MAIL_SERVER)
    _require_possible(relay, device, server, mail)
    if not await relay.services.admit(device):
        raise Refused(refusals.RATE)
    is_rewritten = device.sends_as_stored_sender and sender
    transaction.mail = replace(mail, sender=server.server.sender.address if is_rewritten else sender)


def _mail_command(path: Path) -> MailCommand:
    """Return the command with its parameters. Raises `Refused` for parameters that the relay does not offer."""
    parameters = dict(path.parameters)
    size = parameters.pop("SIZE", None)
    body = parameters.pop("BODY", "7BIT").upper()
    smtputf8 = parameters.pop("SMTPUTF8", None)
    parameters.pop("AUTH", None)  # RFC 4954 5: accepted, and not passed on, as the identity is ours
    _refuse_unknown(parameters)
    if body not in {"7BIT", "8BITMIME"} or smtputf8:
        raise Refused(refusals.UNKNOWN_PARAMETER)
    if size is not None and not (size.isascii() and size.isdigit() and len(size) <= MAX_SIZE_DIGITS):
        raise Refused(refusals.SYNTAX)
    return MailCommand(path.address, None if size is None else int(size), body == "8BITMIME", smtputf8 is not None)


def _refuse_unknown(parameters: Mapping[str, str]) -> None:
    if parameters:
        raise Refused(refusals.UNKNOWN_PARAMETER)


def _require_sender(device: Device, mail: MailCommand) -> str:
    """Return the envelope sender that the device asks for. Raises `Refused` if it may not use it."""
    qualified = not device.sends_as_stored_sender
    sender = mail.sender and require_address(
        mail.sender, refusals.BAD_SENDER, smtputf8=mail.smtputf8, qualified=qualified
    )
    if not device.allows_sender(sender):
        raise Refused(refusals.SENDER_NOT_ALLOWED)
    return sender


def _require_possible(relay: RelayParts, device: Device, server: StoredMailServer, mail: MailCommand) -> None:
    relay.outgoing.require_usable(server)
    if mail.size is not None and mail.size > max_message_bytes(relay, device, server):
        raise Refused(refusals.TOO_LARGE)
    features = relay.outgoing.features(server)
    if mail.smtputf8 and features is not None and not features.offers("SMTPUTF8"):
        raise Refused(answers.NOT_SMTPUTF8)


def max_message_bytes(relay: RelayParts, device: Device | None, server: StoredMailServer | None) -> int:
    """Return the smallest limit of relay, device and mail server, as far as they are known."""
    features = relay.outgoing.features(server) if server else None
    limits = (device.max_message_bytes if device else None, features.size_limit if features else None)
    return min([relay.limits.max_message_bytes, *(limit for limit in limits if limit)])


def require_recipient(argument: str, mail: MailCommand, room: int) -> str:
    """Return the address of RCPT *argument*. Raises `Refused`."""
    path = parse_path(argument, "TO:")
    _refuse_unknown(path.parameters)
    if path.address.lower() != POSTMASTER:
        address = require_address(path.address, refusals.BAD_RECIPIENT, smtputf8=mail.smtputf8)
    else:
        address = path.address
    if room < 1:
        raise Refused(refusals.TOO_MANY_RECIPIENTS)
    return address


def address_of(argument: str | Refused) -> str:
    """Return the address of a refused RCPT for the record, or "" if it has none."""
    try:
        return "" if isinstance(argument, Refused) else parse_path(argument, "TO:").address[:MAX_PATH_LENGTH]
    except Refused:
        return ""


def received_field(client: Client, device: Device, now: datetime) -> Field:
    """Return the trace field (RFC 5321 4.4) with the name of the device."""
    hello = client.hello if _NAME_IN_HELLO.fullmatch(client.hello) else "unknown"
    peer = f"IPv6:{client.peer}" if client.peer.version == 6 else str(client.peer)  # noqa: PLR2004  # RFC 5321 4.1.3
    return Field.of(
        "Received",
        f"from {hello} ([{peer}])\r\n\tby {client.relay.host_name} (mail-settings) with {client.protocol}"
        f" id {secrets.token_hex(8)}\r\n\t(device {device.name});\r\n\t{format_datetime(now)}",
    )
