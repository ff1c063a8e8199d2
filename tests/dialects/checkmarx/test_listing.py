"""The list of all SMTP settings, however many there are."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert
from starlette.types import Message

from mailsettings.dialects.checkmarx import schemas, translate
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
    StoredMailServer,
)
from mailsettings.store.tables import mail_servers
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.mail_servers import SERVERS_PER_PAGE, Page
from mailsettings.web.streaming import JsonArray

from support.databases import LocalStore, fill, new_file, row_of
from support.fakes import ScriptedProber
from support.service import SMTP_SETTINGS, build_service

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40)
SERVERS = st.builds(
    MailServer,
    host=st.sampled_from(["mail.example.org", "192.0.2.1", "2001:db8::7"]),
    port=st.integers(1, 65535),
    security=st.sampled_from(ConnectionSecurity),
    sender=st.builds(Sender, TEXT, st.none() | TEXT),
    authentication=st.one_of(
        st.just(NoAuthentication()),
        st.builds(AmbientCredentials, st.none() | TEXT),
        st.builds(PasswordAuthentication, TEXT, st.none()),
        st.builds(OAuth2ClientCredentials, TEXT, TEXT, st.just("tenant.example"), st.none()),
    ),
)
STORED = st.builds(StoredMailServer, st.integers(1, 2**31 - 1), st.just(1), SERVERS)


async def written(*pages: Page) -> bytes:
    left = list(pages)

    async def read(_after: int) -> Page:
        return left.pop(0)

    sent = bytearray()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.extend(message.get("body", b""))

    response = await JsonArray(translate.to_view, "application/json", {}).response(read)
    await response({"type": "http", "method": "GET"}, receive, send)
    return bytes(sent)


def as_the_model_writes_it(servers: Sequence[StoredMailServer]) -> bytes:
    views = [
        schemas.SMTPSettingsViewModel.model_validate(translate.to_view(server.listed())) for server in servers
    ]
    models = (view.model_dump_json(by_alias=True) for view in views)
    return f"[{','.join(models)}]".encode()


@given(st.lists(STORED, max_size=4), st.lists(STORED, min_size=1, max_size=4))
def test_each_byte_equals_the_models_output_across_pages(
    later: list[StoredMailServer], first: list[StoredMailServer]
) -> None:
    pages = [
        Page([server.listed() for server in first], more=True),
        Page([server.listed() for server in later], more=False),
    ]

    assert as_the_model_writes_it([*first, *later]) == asyncio.run(written(*pages))


def test_every_member_of_the_model_is_shown() -> None:
    [view] = json.loads(as_the_model_writes_it([StoredMailServer(1, 1, RELAY)]))

    assert list(view) == [field.alias for field in schemas.SMTPSettingsViewModel.model_fields.values()]


class Watched(LocalStore):
    """Counts the readings, and does something before the one of a number."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(url)
        self.readings = 0
        self.before_reading = 0
        self.do: Any = None
        if number:
            fill(url, number)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        self.readings += 1
        if self.readings == self.before_reading:
            self.do()
        async with super().reading() as snapshot:
            yield snapshot


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Callable[[int], Watched]]:
    """Return a store with so many mail servers."""
    made: list[Watched] = []

    def new(number: int) -> Watched:
        made.append(Watched(new_file(tmp_path / str(len(made)) / "mailsettings.db"), number))
        return made[-1]

    yield new
    for store in made:
        await store.close()


async def answer(store: Watched, hang_up_after: int | None = None) -> tuple[list[Message], bytes]:
    """What the service sends, and the body of it; the client goes away after so many messages."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        if hang_up_after is not None and len(sent) >= hang_up_after:
            return {"type": "http.disconnect"}
        await asyncio.sleep(0)
        return {"type": "http.request"}

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": SMTP_SETTINGS,
        "raw_path": SMTP_SETTINGS.encode(),
        "query_string": b"",
        "headers": [(b"host", b"x"), (b"authorization", b"Bearer reader")],
    }
    await build_service(store, ScriptedProber())(scope, receive, send)
    return sent, b"".join(message.get("body", b"") for message in sent)


def ids(body: bytes) -> list[int]:
    return [view["id"] for view in json.loads(body)]


def headers(sent: list[Message]) -> dict[bytes, bytes]:
    return dict(sent[0]["headers"])


@pytest.mark.parametrize("number", [0, 1, SERVERS_PER_PAGE - 1])
async def test_a_single_page_is_sent_whole_with_its_length(watched: Callable[[int], Watched], number: int) -> None:
    sent, body = await answer(watched(number))

    assert len(sent) == 2
    assert headers(sent)[b"content-length"] == str(len(body)).encode()
    assert ids(body) == list(range(1, number + 1))


@pytest.mark.parametrize(("number", "pieces"), [(SERVERS_PER_PAGE, 2), (2 * SERVERS_PER_PAGE + 1, 3)])
async def test_several_pages_are_streamed_under_the_same_headers(
    watched: Callable[[int], Watched], number: int, pieces: int
) -> None:
    sent, body = await answer(watched(number))
    short, _ = await answer(watched(1))

    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * pieces]
    assert [message["more_body"] for message in sent[1:]] == [True] * (pieces - 1) + [False]
    assert set(headers(short)) - set(headers(sent)) == {b"content-length"}
    assert headers(sent)[b"cache-control"] == b"no-store"
    assert ids(body) == list(range(1, number + 1))


async def test_unchanged_settings_are_listed_once_during_concurrent_changes(
    watched: Callable[[int], Watched],
) -> None:
    store = watched(2 * SERVERS_PER_PAGE)
    store.before_reading = 2

    def change() -> None:
        for server_id in (1, SERVERS_PER_PAGE, SERVERS_PER_PAGE + 1):
            store.sql(delete(mail_servers).where(mail_servers.c.id == server_id))
        store.sql(insert(mail_servers).values(id=5000, **row_of(5000)))

    store.do = change
    _, body = await answer(store)

    gone = {SERVERS_PER_PAGE + 1}
    assert ids(body) == [n for n in range(1, 2 * SERVERS_PER_PAGE + 1) if n not in gone] + [5000]


async def test_list_is_complete_when_all_following_settings_are_deleted(watched: Callable[[int], Watched]) -> None:
    store = watched(SERVERS_PER_PAGE + 1)
    store.before_reading = 2
    store.do = lambda: store.sql(delete(mail_servers).where(mail_servers.c.id > SERVERS_PER_PAGE))

    _, body = await answer(store)

    assert ids(body) == list(range(1, SERVERS_PER_PAGE + 1))


async def test_unavailable_database_at_the_first_page_is_a_503(watched: Callable[[int], Watched]) -> None:
    store = watched(2 * SERVERS_PER_PAGE)
    store.away = True

    sent, body = await answer(store)

    assert sent[0]["status"] == 503
    assert b"retry-after" in headers(sent)
    assert list(json.loads(body)) == ["message"]


async def test_a_database_lost_between_pages_leaves_the_body_unfinished(
    watched: Callable[[int], Watched], caplog: pytest.LogCaptureFixture
) -> None:
    store = watched(3 * SERVERS_PER_PAGE)
    store.before_reading = 3

    def go_away() -> None:
        raise StoreUnavailable

    store.do = go_away
    sent, _ = await answer(store)

    assert [message["more_body"] for message in sent[1:]] == [True, True]
    assert "A response ends early: StoreUnavailable" in caplog.messages


@pytest.mark.parametrize("messages", [2, 3])
async def test_a_client_that_goes_away_ends_the_reading(watched: Callable[[int], Watched], messages: int) -> None:
    store = watched(9 * SERVERS_PER_PAGE)

    await answer(store, hang_up_after=messages)

    assert store.readings == messages - 1
