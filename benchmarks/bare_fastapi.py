"""The comparison: a FastAPI route that returns the same model from memory, with nothing in front of it."""

from fastapi import FastAPI

from mailsettings.dialects.oracle_analytics.examples import NO_AUTH
from mailsettings.dialects.oracle_analytics.schemas import MailServer

app = FastAPI()
STORED = MailServer.model_validate(NO_AUTH)


@app.get("/api/20210901/system/mail/server")
async def get_mail_server() -> MailServer:
    """The stored model, which FastAPI validates and serialises."""
    return STORED
