"""A relay as the documentation of aiosmtpd and aiosmtplib leads to: a whole message in memory, a connection each.

    naive_relay.py PORT MAIL_SERVER_PORT AUTHORITY [CERTIFICATE KEY]

It logs devices in by comparing a secret, and passes the mail server's reply on.
"""

import asyncio
import hmac
import ssl
import sys
import warnings
from typing import Any

import aiosmtplib
import uvloop
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, SECRET = b"scanner", b"ABCDEFGHJKMNPQRSTUVWXYZ234"
MAX_BYTES = 35_882_577


class Handler:
    """Sends each message on before it answers."""

    def __init__(self, port: int, authority: str) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=authority)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Return the mail server's reply, or its refusal."""
        assert envelope.mail_from is not None
        assert isinstance(envelope.content, bytes)
        try:
            _, reply = await aiosmtplib.send(
                envelope.content,
                sender=envelope.mail_from,
                recipients=envelope.rcpt_tos,
                hostname="127.0.0.1",
                port=self._port,
                username="relay@example.com",
                password="correct horse",
                start_tls=True,
                tls_context=self._context,
            )
        except aiosmtplib.SMTPResponseException as refused:
            return f"{refused.code} {refused.message}"
        except aiosmtplib.SMTPException:
            return "451 4.4.1 Try again later"
        return f"250 {reply}"


def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any) -> AuthResult:
    """Accept the one device."""
    assert isinstance(login, LoginPassword)
    return AuthResult(success=login.login == USER and hmac.compare_digest(login.password, SECRET))


async def main(port: str, mail_server_port: str, authority: str, *certificate: str) -> None:
    """Serve until a signal ends the process."""
    warnings.simplefilter("ignore")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        context.load_cert_chain(*certificate)
    options: dict[str, Any] = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    options |= {"data_size_limit": MAX_BYTES, "tls_context": context if certificate else None}
    handler = Handler(int(mail_server_port), authority)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, **options), "127.0.0.1", int(port), backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
