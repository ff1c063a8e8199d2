"""The floor: an ASGI application that answers a constant."""

from typing import Any

BODY = (
    b'{"auth":{"authType":"NO_AUTH"},"connectionSecurity":{"connectionSecurityType":"NO_CONNECTION_SECURITY"},'
    b'"host":"mail-server.com","port":25,'
    b'"sender":{"displayName":"John Smith","emailAddress":"john.smith@myorg.com"}}'
)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answer every request alike."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})
