"""Pass the content of one message from a device to a transfer, while it arrives."""

import asyncio

from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.connection import ClientGone, Connection, TooSlow
from mailsettings.relay.incoming.content import ContentDecoder, ContentEncoder
from mailsettings.relay.incoming.header import HeaderBlock
from mailsettings.relay.incoming.header_rules import HeaderRules, message_id_of
from mailsettings.relay.incoming.limits import (
    MAX_DISCARDED_BYTES,
    MIN_BYTES_PER_SECOND,
    RelayLimits,
)
from mailsettings.relay.outgoing.pools import Transfer
from mailsettings.relay.replies import Delivered, Refused

DISCARD_SILENCE_TIMEOUT_SECONDS = 60
DISCARD_TIMEOUT_SECONDS = 600


class Delivery:
    """One message's content on its way; `size` and `message_id` as far as it has arrived."""

    def __init__(
        self, connection: Connection, transfer: Transfer, rules: HeaderRules, limits: RelayLimits, max_bytes: int
    ) -> None:
        self._connection = connection
        self._transfer = transfer
        self._rules = rules
        self._limits = limits
        self._max_bytes = max_bytes
        self._decoder = ContentDecoder()
        self._encoder = ContentEncoder()
        self._header: HeaderBlock | None = HeaderBlock()
        self._waited_seconds = 0.0
        self.is_sent = False
        """Whether the final dot may have been sent."""
        self.size = 0
        self.message_id: str | None = None

    async def run(self) -> Delivered:
        """Return the mail server's acceptance. Raises `Refused`, `ClientGone`.

        After a refusal the rest of the content is read and dropped, so that the client reads the reply.
        """
        try:
            last = await self._pass_on()
        except Refused:
            self._transfer.abandon()
            await self._discard()
            raise
        except BaseException:
            self._transfer.abandon()
            raise
        self.is_sent = True
        return await self._transfer.finish(last)

    async def _pass_on(self) -> bytes:
        """Pass the content on as it arrives, and return its last part."""
        while True:
            content = self._decoder.feed(await self._read())
            self.size += len(content)
            if self.size > self._max_bytes:
                raise Refused(refusals.TOO_LARGE)
            stuffed = self._encoder.feed(self._with_header(content))
            if self._decoder.rest is not None:
                self._connection.put_back(self._decoder.rest)
                return stuffed
            if stuffed:
                await self._transfer.write(stuffed)

    def _with_header(self, content: bytes) -> bytes:
        """Return *content*, with the checked header in front of it once the header is complete."""
        if self._header is None:
            return content
        if not self._header.feed(content, is_last=self._decoder.rest is not None):
            return b""
        fields, body, self._header = self._header.fields, self._header.body, None
        self.message_id = message_id_of(fields)
        return self._rules.apply(fields) + body

    async def _read(self) -> bytes:
        """Return the next bytes. Raises `Refused` if the client is silent, or too slow on average."""
        loop = asyncio.get_running_loop()
        head_start = self._limits.content_head_start_seconds
        allowed = head_start + self.size / MIN_BYTES_PER_SECOND - self._waited_seconds
        started = loop.time()
        try:
            return await self._connection.read(min(self._limits.silence_timeout_seconds, max(allowed, 0)))
        except TooSlow:
            raise Refused(refusals.TOO_SLOW) from None
        finally:
            self._waited_seconds += loop.time() - started

    async def _discard(self) -> None:
        """Read to the end of the content. Raises `ClientGone` if the client does not come to an end."""
        discarded = 0
        deadline = asyncio.get_running_loop().time() + DISCARD_TIMEOUT_SECONDS
        while self._decoder.rest is None:
            try:
                data = await self._connection.read(DISCARD_SILENCE_TIMEOUT_SECONDS)
            except TooSlow:
                raise ClientGone from None
            self._decoder.feed(data)
            discarded += len(data)
            if discarded > MAX_DISCARDED_BYTES or asyncio.get_running_loop().time() > deadline:
                raise ClientGone
        self._connection.put_back(self._decoder.rest)
