"""The comparison: a FastAPI route that returns the same model from memory, with nothing in front of it."""

from fastapi import FastAPI

from mailsettings.dialects.oracle_analytics.schemas import (
    MailSender,
    MailServer,
    MailServerNoAuth,
    NoConnectionSecurity,
)

app = FastAPI()
STORED = MailServer(
    auth=MailServerNoAuth(auth_type="NO_AUTH"),
    connection_security=NoConnectionSecurity(connection_security_type="NO_CONNECTION_SECURITY"),
    host="mail-server.com",
    port=25,
    sender=MailSender(display_name="John Smith", email_address="john.smith@myorg.com"),
)


@app.get("/api/20210901/system/mail/server")
async def get_mail_server() -> MailServer:
    """What is stored, validated and written by FastAPI."""
    return STORED
