"""Hand messages on in tests: what the relay does with a message, without a device."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.relay.outgoing.places import Places
from mailsettings.relay.outgoing.pool import Limits
from mailsettings.relay.outgoing.pools import MailCommand, Outgoing, Transfer
from mailsettings.relay.replies import Delivered, Refused

from support.probers import make_connector

MAIL = MailCommand("scan@example.org", size=100)
TO = ["anna@example.com"]
CONTENT = b"Subject: scan\r\n\r\nHello\r\n"


@asynccontextmanager
async def outgoing(
    places: int = 3,
    connector: dict[str, Any] | None = None,
    listeners: dict[str, Any] | None = None,
    **limits: float,
) -> AsyncIterator[Outgoing]:
    """The way to mail servers, with *limits* in seconds."""
    out = Outgoing(make_connector(**(connector or {})), Places(places), Limits(**limits), **(listeners or {}))
    yield out
    await out.close(0)


async def hand_on(
    out: Outgoing, server: StoredMailServer, recipients: Sequence[str] = TO, content: bytes = CONTENT
) -> Delivered:
    """Hand one message on, as a client does that pipelines."""
    transfer = await out.begin(server, MAIL, recipients, data=True)
    return await deliver(transfer, content)


async def deliver(transfer: Transfer, content: bytes = CONTENT) -> Delivered:
    """Send the content of *transfer*."""
    await transfer.start_content()
    await transfer.write(content)
    return await transfer.finish()


async def refused(out: Outgoing, server: StoredMailServer, content: bytes = CONTENT) -> Refused:
    """Return the refusal of one message; the refusal of its only recipient counts too."""
    try:
        transfer = await out.begin(server, MAIL, TO, data=True)
        if (reply := transfer.recipient_replies[0]).code // 100 != 2:
            transfer.abandon()
            return Refused(reply)
        await deliver(transfer, content)
    except Refused as refusal:
        return refusal
    raise AssertionError("the message was accepted")
