"""The site's own paths: the way in, liveness and readiness, the files of the page, and nothing else."""

import dataclasses
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.server.connection import DRAINING_STATE_KEY
from mailsettings.site.pages import create_site

from support.service import Caller
from support.timeouts import GUARD_SECONDS


@asynccontextmanager
async def no_lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield


@dataclasses.dataclass
class Database:
    away: bool = False

    async def ping(self) -> None:
        if self.away:
            raise StoreUnavailable


def site(database: Database) -> httpx.AsyncClient:
    app = create_site(dict, database.ping, no_lifespan)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service.test")


async def test_the_root_leads_to_the_documentation(api: Caller) -> None:
    answer = await api(None).send("GET", "/")

    assert (answer.status_code, answer.headers["location"]) == (307, "docs")


async def test_the_program_is_live_without_a_token(api: Caller) -> None:
    answer = await api(None).send("GET", "/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


async def test_the_program_is_live_while_its_database_is_away() -> None:
    async with site(Database(away=True)) as client:
        answer = await client.get("/health/live")

    assert answer.status_code == 200


async def test_it_is_ready_when_its_database_answers() -> None:
    async with site(Database()) as client:
        answer = await client.get("/health/ready")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_without_database_it_is_unready_and_sends_retry_after() -> None:
    async with site(Database(away=True)) as client:
        answer = await client.get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert answer.headers["retry-after"].isdigit()


async def test_it_is_ready_again_once_its_database_is_back() -> None:
    database = Database(away=True)
    async with site(database) as client:
        await client.get("/health/ready")
        database.away = False
        answer = await client.get("/health/ready")

    assert answer.status_code == 200


async def test_it_is_live_and_not_ready_while_it_drains() -> None:
    transport = httpx.ASGITransport(draining(create_site(dict, Database().ping, no_lifespan)))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert (live.status_code, ready.status_code, ready.json()["status"]) == (200, 503, "not_ready")
    assert ready.headers["retry-after"].isdigit()


def draining(app: ASGIApp) -> ASGIApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {DRAINING_STATE_KEY: True}}, receive, send)

    return run


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/docs.js", "text/javascript; charset=utf-8"),
        ("/docs/docs.css", "text/css; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/favicon.png", "image/png"),
    ],
)
async def test_pages_files_have_their_types_and_a_strict_policy(api: Caller, path: str, media_type: str) -> None:
    answer = await api(None).send("GET", path)
    policy = answer.headers["content-security-policy"]

    assert (200, media_type) == (answer.status_code, answer.headers["content-type"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/nothing.json",
        "/openapi/nothing.json",
        "/docs/",
        "/docs/nothing.js",
        "/docs/docs.html",
        "/docs/__init__.py",
        "/docs/../settings.py",
        "/docs/../../settings.py",
        "/docs/..%2fpages.py",
        "/docs/%2e%2e/pages.py",
        "/docs/%2e%2e%2fpages.py",
        "/docs/..%5cpages.py",
        "/docs//etc/passwd",
        "/docs/%2fetc%2fpasswd",
        "/docs/docs.js%00.html",
        "/../pyproject.toml",
        "/static/docs.js",
    ],
)
def test_there_is_nothing_at_any_other_path(origin: str, path: str) -> None:
    status, body = get_as_written(origin, path)

    assert (status, body) == (404, {"message": "This path does not exist; see /docs."})


def get_as_written(origin: str, path: str) -> tuple[int, object]:
    """Ask a real server for *path* byte for byte, which other clients would tidy up."""
    with closing(http.client.HTTPConnection(urlsplit(origin).netloc, timeout=GUARD_SECONDS)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.load(answer)
