"""All SMTP settings as one JSON array, a page at a time.

Byte for byte what the model of the schema would write, without making one for each of a hundred thousand.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable

from pydantic import TypeAdapter

from mailsettings.dialects.checkmarx.translate import ENCRYPTION_TYPES
from mailsettings.domain.listed_mail_server import ListedMailServer
from mailsettings.use_cases.mail_servers import Page
from mailsettings.web.streaming import Chunk

_JSON = TypeAdapter(list[dict[str, object]])


async def stream_list(read: Callable[[int], Awaitable[Page]]) -> AsyncGenerator[Chunk]:
    """A piece for each page; *read* gives the one behind an id."""
    chunk, last = _chunk(await read(0), b"[", b"")
    while chunk.more:
        yield chunk
        chunk, last = _chunk(await read(last), b"", b",")
    yield chunk


def _chunk(page: Page, opening: bytes, comma: bytes) -> tuple[Chunk, int]:
    """Also the last id. Only the first page has nothing before it, and any but that may turn out to be empty."""
    views = memoryview(_JSON.dump_json([_listed_view(server) for server in page.servers]))[1:-1]
    body = b"".join((opening, comma if views else b"", views, b"" if page.more else b"]"))
    return Chunk(body, page.more), page.last


def _listed_view(server: ListedMailServer) -> dict[str, object]:
    """`SMTPSettingsViewModel`, in its order and under the vendor's names."""
    number, host, port, security, address, name, username, ambient = server
    return {
        "id": number,
        "host": host,
        "port": port,
        "encryptionType": ENCRYPTION_TYPES[security],
        "fromAddress": address,
        "useDefaultCredentials": bool(ambient),
        "username": username,
        "displayName": name,
    }
