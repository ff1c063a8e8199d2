"""A receiver of webhooks on loopback, with TLS of its own authority and scripted answers."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest

import trustme

from mailsettings.network.http import HTTPClient
from mailsettings.network.tls import client_context
from mailsettings.webhook.sender import WebhookSender, parse_webhook_keys

from support.smtp_server import Script, listening
from support.timeouts import GUARD_SECONDS

NAME = "hooks.example.org"
AUTHORITY = trustme.CA()
AUTHORITY_PEM = AUTHORITY.cert_pem.bytes().decode()
KEY = bytes(range(32))
SECRET = f"whsec_{b64encode(KEY).decode()}"
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True)
class Post:
    """A received request: its line, its headers by lower-case name, its body."""

    line: str
    headers: dict[str, str]
    body: bytes

    def is_signed(self, key: bytes = KEY) -> bool:
        """Whether the signature is what the specification says, computed by hand."""
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = "v1," + b64encode(digest(key, content, sha256)).decode()
        return expected in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """`answers` are sent in order, the last answer repeatedly; `posts` has the requests."""

    port: int = 0
    answers: list[bytes] = field(default_factory=lambda: [TAKEN])
    posts: list[Post] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}/hooks/1?to=ops"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.posts.append(Post(line, headers, body))
        self.arrived.set()
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        await writer.drain()

    async def received(self, count: int) -> list[Post]:
        """What came, when there are so many of it."""
        async with asyncio.timeout(GUARD_SECONDS):
            while len(self.posts) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.posts


@asynccontextmanager
async def webhook_receiver(serve: Script | None = None, name: str = NAME) -> AsyncIterator[Receiver]:
    """A running receiver; *serve* takes the place of what it does by itself."""
    receiver = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)

    def note_name(_socket: object, asked_for: str | None, _context: object) -> None:
        receiver.names.append(asked_for)

    context.sni_callback = note_name
    async with listening(serve or receiver.serve, context) as receiver.port:
        yield receiver


def receiver_trust() -> ssl.SSLContext:
    """The context that trusts the authority of the receivers."""
    tls = client_context()
    AUTHORITY.configure_trust(tls)
    return tls


def make_webhook(url: str, http: HTTPClient, **changes: float) -> WebhookSender:
    """A webhook that signs with the key of the receivers."""
    return WebhookSender(url, parse_webhook_keys(SECRET), http, **changes)
