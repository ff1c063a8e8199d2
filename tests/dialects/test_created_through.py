"""The audit log says when one API replaces or removes a mail server that the other created."""

import httpx
import pytest

from mailsettings.bootstrap.backend import Backend
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.audit_log import AuditRecord

from support.request_bodies import checkmarx, oracle
from support.service import MAIL_SERVER, SMTP_SETTINGS

CREATED = {"by": "admin", "through": "checkmarx"}


async def last(backend: Backend) -> AuditRecord:
    return (await backend.use_cases.audit_log.page(OPERATOR))[-1].record


async def test_replacement_by_the_other_api_names_the_creating_api(
    http: httpx.AsyncClient, backend: Backend
) -> None:
    assert (await http.post(SMTP_SETTINGS, json=checkmarx("correct horse"))).status_code == 201
    await backend.use_cases.mail_servers.set_default(OPERATOR, 1)
    assert (
        await http.put(MAIL_SERVER, json=oracle("battery staple") | {"host": "b.example.org"})
    ).status_code == 200
    replaced = await last(backend)
    assert (await http.delete(MAIL_SERVER)).status_code == 200
    removed = await last(backend)

    assert (replaced.action, replaced.details["created"]) == ("mail-server.replace", CREATED)
    assert replaced.details["host"] == {"before": "mail-server.com", "after": "b.example.org"}
    assert (removed.action, removed.details["created"]) == ("mail-server.delete", CREATED)


async def test_an_api_that_replaces_its_own_is_no_news(http: httpx.AsyncClient, backend: Backend) -> None:
    for host in ("a.example.org", "b.example.org"):
        assert (await http.put(MAIL_SERVER, json=oracle("correct horse") | {"host": host})).status_code == 200

    assert "created" not in (await last(backend)).details


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_a_restored_server_was_created_by_its_restorer(http: httpx.AsyncClient, backend: Backend) -> None:
    await http.post(SMTP_SETTINGS, json=checkmarx("correct horse"))
    await backend.use_cases.mail_servers.set_default(OPERATOR, 1)
    await http.delete(MAIL_SERVER)
    assert (await http.post(f"{MAIL_SERVER}/actions/rollback")).status_code == 200
    await backend.use_cases.mail_servers.clear_default(OPERATOR)
    await http.delete(f"{SMTP_SETTINGS}/1")

    assert (await last(backend)).details["created"] == {"by": "admin", "through": "oracle-analytics"}
