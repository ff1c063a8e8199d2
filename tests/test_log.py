"""The log of a running service, whatever its level and format: one line for each record, and no secret in it."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from mailsettings.domain.mail_server import ConnectionSecurity

from support import commands
from support.canary import Canary
from support.processes import clean_environment, serving
from support.request_bodies import checkmarx, checkmarx_test, oracle, oracle_oauth2
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN
from support.smtp_server import AUTHORITY_PEM, HOST, USERNAME, Behaviour, real_server


class Planted:
    """One secret for each place where there may be one."""

    def __init__(self) -> None:
        self.password, self.settings, self.query, self.header, self.client, self.wrong_token = (
            Canary(plain=True) for _ in range(6)
        )
        self.token = Canary()

    def assert_nowhere(self, log: str) -> None:
        for canary in vars(self).values():
            canary.assert_nowhere(log)


@pytest.mark.parametrize("style", ["json", "text"])
async def test_the_log_at_its_lowest_level_holds_no_secret(tmp_path: Path, style: str) -> None:
    planted = Planted()
    (tmp_path / "ca.pem").write_text(AUTHORITY_PEM)
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, planted.settings.secret)) as mail:
        environment = clean_environment(
            tmp_path / "data",
            LOG_FORMAT=style,
            LOG_LEVEL="debug",
            ADMIN_PASSWORD=planted.password.secret,
            TOKEN_CLIENT_SECRET=planted.client.secret,
            SMTP_ALLOWED_NETWORKS="127.0.0.0/8",
            SMTP_ALLOWED_PORTS=str(mail.port),
            SMTP_CA_FILE=str(tmp_path / "ca.pem"),
        )
        with serving(environment) as (url, output):
            planted.token = Canary(made=await asyncio.to_thread(make_token, environment))
            tested = await use_everything(url, planted, mail.port)
        log = output.read_text()

    assert tested.status_code == 200, tested.text
    assert mail.messages
    planted.assert_nowhere(log)
    assert log.count("sent-by-us") >= 10
    if style == "json":
        served = [line for line in log.splitlines() if line.startswith("{")]
        assert len(served) > 20
        assert all(json.loads(line)["request_id"] for line in served)


def make_token(environment: dict[str, str]) -> str:
    return commands.run(environment, "token", "--permission", "manage-system-settings").stdout.strip()


async def use_everything(url: str, planted: Planted, port: int) -> httpx.Response:
    """Log in rightly and wrongly, store, show, fail; the answer is that of a connection test that works."""
    headers = {"X-Request-ID": "sent-by-us", "Cookie": planted.header.secret, "X-Else": planted.header.secret}
    form = {"grant_type": "password", "username": "admin", "password": planted.password.secret}
    works = checkmarx_test(planted.settings.secret) | {"host": HOST, "port": port, "username": USERNAME}
    query = {"access_token": planted.query.secret}
    async with httpx.AsyncClient(base_url=url, headers=headers) as http:
        for client_secret in (planted.client.secret, planted.wrong_token.secret):
            await http.post(TOKEN, data={**form, "client_secret": client_secret}, params=query)
        await http.post(TOKEN, data={**form, "username": planted.wrong_token.secret})
        for token in (planted.wrong_token, planted.token):
            http.headers["Authorization"] = f"Bearer {token}"
            for body in (oracle(planted.settings.secret), oracle_oauth2(planted.settings.secret), "{"):
                await http.put(MAIL_SERVER, json=body, params=query)
                await http.get(MAIL_SERVER, params=query)
            await http.post(SMTP_SETTINGS, json={**checkmarx(planted.settings.secret), "port": 0})
        return await http.post(f"{SMTP_SETTINGS}/testconnection", json=works, params=query)
