"""Two admins at once: entity tags, and changes that are made only to what their maker has seen (RFC 9110 13)."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from mailsettings.dialects.checkmarx.examples import STARTTLS
from mailsettings.dialects.oracle_analytics.examples import NO_AUTH

from support.databases import LocalStore, records
from support.service import MAIL_SERVER, SMTP_SETTINGS, Caller


@dataclass
class Resource:
    """One setting in the words of one API."""

    path: str
    body: dict[str, Any]

    def changed(self, host: str) -> dict[str, Any]:
        return {**self.body, "host": host}


RESOURCES = [Resource(MAIL_SERVER, NO_AUTH), Resource(f"{SMTP_SETTINGS}/1", STARTTLS)]
in_both = pytest.mark.parametrize("resource", RESOURCES, ids=["oracle", "checkmarx"])


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """Enough for all but concurrent requests."""
    return local_store


@pytest.fixture
async def stored(api: Caller, resource: Resource) -> str:
    """The entity tag of a setting that is there."""
    if resource.path == MAIL_SERVER:
        await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    else:
        await api.send("POST", SMTP_SETTINGS, json=STARTTLS)
    return (await api.send("GET", resource.path)).headers["ETag"]


@in_both
async def test_every_change_brings_another_strong_entity_tag(api: Caller, resource: Resource, stored: str) -> None:
    again = (await api.send("GET", resource.path)).headers["ETag"]
    await api.send("PUT", resource.path, json=resource.changed("a.example.org"))
    changed = (await api.send("GET", resource.path)).headers["ETag"]
    await api.send("PUT", resource.path, json=resource.changed("a.example.org"))
    written_again = (await api.send("GET", resource.path)).headers["ETag"]

    assert stored == again
    assert len({stored, changed, written_again}) == 3
    assert stored.startswith('"')


async def test_one_that_was_made_anew_has_another_entity_tag(api: Caller) -> None:
    tags = []
    for _ in range(2):
        await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
        tags.append((await api.send("GET", MAIL_SERVER)).headers["ETag"])
        await api.send("DELETE", MAIL_SERVER)

    assert tags[0] != tags[1]


@in_both
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("tags", ["{}", '"x", {}', "*", '{}, W/"y"', " , {},"])
async def test_a_change_of_what_was_seen_is_made(
    api: Caller, resource: Resource, stored: str, method: str, tags: str
) -> None:
    body = resource.changed("b.example.org") if method == "PUT" else None
    answer = await api.send(method, resource.path, json=body, headers={"If-Match": tags.format(stored)})

    assert answer.is_success


@in_both
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("tags", ['"7.7"', 'W/"7.7"', '""', '"x", "y"', '"1.1-gzip"'])
async def test_change_with_another_tag_is_a_412_naming_editor(
    api: Caller, store: LocalStore, resource: Resource, stored: str, method: str, tags: str
) -> None:
    body = resource.changed("b.example.org") if method == "PUT" else None
    answer = await api.send(method, resource.path, json=body, headers={"If-Match": tags.format(stored)})

    assert answer.status_code == 412
    assert "changed by admin at 20" in answer.json()["message"]
    assert answer.json().get("code", "PreconditionFailed") == "PreconditionFailed"
    assert (await api.send("GET", resource.path)).headers["ETag"] == stored
    assert (await records(store))[-1].outcome == "refused"


@in_both
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_tag_that_a_proxy_marked_is_the_tag(
    api: Caller, resource: Resource, stored: str, method: str, coding: str
) -> None:
    """Apache and Caddy append the name of the coding inside the quotes."""
    body = resource.changed("b.example.org") if method == "PUT" else None
    marked = f'{stored[:-1]}-{coding}"'
    answer = await api.send(method, resource.path, json=body, headers={"If-Match": marked})

    assert answer.is_success


@in_both
@pytest.mark.parametrize("mark", ["-gzip-br", "-deflate", "-GZIP", "gzip", "-"])
async def test_other_marks_make_another_tag(api: Caller, resource: Resource, stored: str, mark: str) -> None:
    answer = await api.send("DELETE", resource.path, headers={"If-Match": f'{stored[:-1]}{mark}"'})

    assert answer.status_code == 412


@in_both
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("tags", ["W/{}", '"x", W/{}', 'W/"x", W/{}', "W/{marked}"])
async def test_a_weak_tag_is_refused_and_the_proxy_named(
    api: Caller, resource: Resource, stored: str, method: str, tags: str
) -> None:
    """Both nginx and HAProxy make tags weak when they compress; If-Match compares strongly (RFC 9110 13.1.1)."""
    body = resource.changed("b.example.org") if method == "PUT" else None
    weak = tags.format(stored, marked=f'{stored[:-1]}-gzip"')
    answer = await api.send(method, resource.path, json=body, headers={"If-Match": weak})

    assert answer.status_code == 412
    assert "proxy" in answer.json()["message"]
    assert "changed by" not in answer.json()["message"]
    assert answer.json().get("code", "PreconditionFailed") == "PreconditionFailed"
    assert (await api.send("GET", resource.path)).headers["ETag"] == stored


@in_both
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("also", [{}, {"If-None-Match": "{}"}, {"If-None-Match": "*"}], ids=["", "known", "any"])
async def test_reading_another_state_than_expected_is_a_412(
    api: Caller, resource: Resource, stored: str, method: str, also: dict[str, str]
) -> None:
    """If-Match counts before If-None-Match (RFC 9110 13.2.2)."""
    headers = {"If-Match": '"7.7"'} | {name: value.format(stored) for name, value in also.items()}
    answer = await api.send(method, resource.path, headers=headers)

    assert answer.status_code == 412
    assert method == "HEAD" or "changed by admin at 20" in answer.json()["message"]


@in_both
async def test_reading_the_state_expected_shows_it(api: Caller, resource: Resource, stored: str) -> None:
    shown = await api.send("GET", resource.path, headers={"If-Match": stored})
    known = await api.send("GET", resource.path, headers={"If-Match": stored, "If-None-Match": stored})

    assert (shown.status_code, known.status_code) == (200, 304)


async def test_reading_nothing_is_a_404_whatever_is_expected(api: Caller) -> None:
    """RFC 9110 13.2.1: preconditions count only where the answer without them would be a success."""
    paths = [MAIL_SERVER, f"{SMTP_SETTINGS}/1"]
    answers = [await api.send("GET", path, headers={"If-Match": tag}) for path in paths for tag in ("*", '"1.1"')]

    assert {answer.status_code for answer in answers} == {404}


@in_both
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("tags", ["1.1", '"1.1', "W/1.1", '"a" "b"', "*, *", "'1.1'"])
async def test_what_is_no_entity_tag_is_named_and_refused(
    api: Caller, resource: Resource, stored: str, header: str, tags: str
) -> None:
    answer = await api.send("PUT", resource.path, json=resource.body, headers={header: tags})
    read = await api.send("GET", resource.path, headers={header: tags})

    assert (answer.status_code, read.status_code) == (400, 400)
    assert answer.json()["message"] == f"{header} must be * or entity tags in double quotes."


@in_both
@pytest.mark.parametrize("tags", ["{}", "*", "W/{}", '"x", {}', "{marked}", "W/{marked}"])
async def test_who_has_it_as_it_is_gets_no_body(api: Caller, resource: Resource, stored: str, tags: str) -> None:
    answer = await api.send(
        "GET", resource.path, headers={"If-None-Match": tags.format(stored, marked=f'{stored[:-1]}-gzip"')}
    )

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == stored
    assert answer.headers["Cache-Control"] == "no-store"


@in_both
async def test_who_has_an_older_one_gets_the_new_one(api: Caller, resource: Resource, stored: str) -> None:
    await api.send("PUT", resource.path, json=resource.changed("c.example.org"))
    answer = await api.send("GET", resource.path, headers={"If-None-Match": stored})

    assert (answer.status_code, answer.json()["host"]) == (200, "c.example.org")


async def test_create_only(api: Caller) -> None:
    only_new = {"If-None-Match": "*"}
    created = await api.send("PUT", MAIL_SERVER, json=NO_AUTH, headers=only_new)
    refused = await api.send("PUT", MAIL_SERVER, json={**NO_AUTH, "host": "d.example.org"}, headers=only_new)

    assert (created.status_code, refused.status_code) == (200, 412)
    assert (await api.send("GET", MAIL_SERVER)).json()["host"] == NO_AUTH["host"]


async def test_removed_settings_are_not_replaced_under_a_precondition(api: Caller) -> None:
    answer = await api.send("PUT", MAIL_SERVER, json=NO_AUTH, headers={"If-Match": "*"})

    assert answer.status_code == 412
    assert (await api.send("GET", MAIL_SERVER)).status_code == 404


async def test_a_missing_id_is_a_404_under_any_precondition(api: Caller) -> None:
    answers = [
        await api.send(method, f"{SMTP_SETTINGS}/9", json=body, headers={"If-Match": '"9.1"'})
        for method, body in [("PUT", STARTTLS), ("DELETE", None)]
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_both_apis_see_the_same_state(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    seen = (await api.send("GET", MAIL_SERVER)).headers["ETag"]
    await api.send("PUT", f"{SMTP_SETTINGS}/1", json=STARTTLS)
    answer = await api.send("PUT", MAIL_SERVER, json=NO_AUTH, headers={"If-Match": seen})

    assert answer.status_code == 412


async def test_of_two_admins_at_once_one_is_told(http: httpx.AsyncClient) -> None:
    """Case 39."""
    await http.put(MAIL_SERVER, json=NO_AUTH)
    seen = (await http.get(MAIL_SERVER)).headers["ETag"]
    bodies = [{**NO_AUTH, "host": f"{number}.example.org"} for number in range(6)]
    answers = await asyncio.gather(
        *(http.put(MAIL_SERVER, json=body, headers={"If-Match": seen}) for body in bodies)
    )
    [won] = [number for number, answer in enumerate(answers) if answer.status_code == 200]

    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 5]
    assert (await http.get(MAIL_SERVER)).json()["host"] == f"{won}.example.org"


@pytest.mark.parametrize(("headers", "created"), [({}, 6), ({"If-None-Match": "*"}, 1)], ids=["any", "only new"])
async def test_first_puts_at_once_make_one_mail_server(
    http: httpx.AsyncClient, headers: dict[str, str], created: int
) -> None:
    bodies = [{**NO_AUTH, "host": f"{number}.example.org"} for number in range(6)]
    answers = await asyncio.gather(*(http.put(MAIL_SERVER, json=body, headers=headers) for body in bodies))
    statuses = sorted(answer.status_code for answer in answers)
    made = {body["host"] for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200}

    assert statuses == [200] * created + [412] * (6 - created)
    assert len((await http.get(SMTP_SETTINGS)).json()) == 1
    assert (await http.get(MAIL_SERVER)).json()["host"] in made
