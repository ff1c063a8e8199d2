"""One life of a service in its own process, and a search for its secrets in all that it said, kept and sent."""

import asyncio
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from mailsettings.domain.mail_server import ConnectionSecurity

from support import commands
from support.canary import Canary
from support.processes import clean_environment, serving
from support.request_bodies import checkmarx, checkmarx_test, oracle, oracle_oauth2
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN
from support.smtp_server import AUTHORITY_PEM, HOST, USERNAME, Behaviour, listening, real_server
from support.timeouts import GUARD_SECONDS
from support.token_authority import Authority

JWKS = "/cxrestapi/auth/identity/.well-known/openid-configuration/jwks"
PAGES = ["/health/live", "/health/ready", "/docs", "/openapi.json", "/openapi/checkmarx.json", JWKS, "/audit"]
VIEWS = [MAIL_SERVER, SMTP_SETTINGS, f"{SMTP_SETTINGS}/1", f"{SMTP_SETTINGS}/2", *PAGES]
AUDIT_LOGS = (" GET /audit 200", " audit list", " audit list --json")


@dataclass
class Secrets:
    """All secrets; `given` come from the test, `made` from the service."""

    account: Canary = field(default_factory=Canary)
    login_client: Canary = field(default_factory=Canary)
    mailbox: Canary = field(default_factory=Canary)
    oauth2: Canary = field(default_factory=Canary)
    mail_token: Canary = field(default_factory=lambda: Canary(plain=True))
    made: list[Canary] = field(default_factory=list)

    @property
    def all(self) -> list[Canary]:
        return [self.account, self.login_client, self.mailbox, self.oauth2, self.mail_token, *self.made]


@dataclass
class Life:
    """What a service has said, by where it said it."""

    http: httpx.AsyncClient
    environment: dict[str, str]
    secrets: Secrets
    said: dict[str, bytes] = field(default_factory=dict)

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        answer = await self.http.request(method, path, **how)
        heard = b"\n".join([answer.content, *(name + b": " + value for name, value in answer.headers.raw)])
        self.said[f"{len(self.said)} {method} {path} {answer.status_code}"] = heard
        return answer

    async def log_in(self, **form: str) -> httpx.Response:
        """An access token is for the caller alone, and looked for everywhere else."""
        answer = await self.http.post(TOKEN, data=form)
        if answer.is_success:
            self.secrets.made.append(Canary(made=answer.json()["access_token"]))
            self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        else:
            self.said[f"{len(self.said)} login"] = answer.content
        return answer

    async def run(self, *arguments: str) -> str:
        ran = await asyncio.to_thread(command, self.environment, *arguments)
        self.said[f"{len(self.said)} {' '.join(arguments)}"] = (ran.stdout + ran.stderr).encode()
        assert ran.returncode == 0, ran
        return ran.stdout


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.run(environment, *arguments)


@dataclass
class Tap:
    """A proxied connection that records all bytes."""

    port: int = 0
    heard: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def tapped(port: int) -> AsyncIterator[Tap]:
    """Hands on to *port* and keeps what goes by in either direction, encrypted or not."""
    tap = Tap()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, RuntimeError):
            while piece := await reader.read(65536):
                tap.heard += piece
                writer.write(piece)
                await writer.drain()
            writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, port)
        try:
            await asyncio.gather(carry(reader, back), carry(there, writer))
        finally:
            back.close()

    async with listening(serve) as tap.port:
        yield tap


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def environment(tmp_path: Path, secrets: Secrets, authority: Authority) -> dict[str, str]:
    authority.token = secrets.mail_token.secret
    trusted = tmp_path / "ca.pem"
    trusted.write_text(AUTHORITY_PEM)
    return clean_environment(
        tmp_path / "data",
        ADMIN_PASSWORD=secrets.account.secret,
        TOKEN_CLIENT_SECRET=secrets.login_client.secret,
        OAUTH2_AUTHORITY=authority.url,
        SMTP_ALLOWED_NETWORKS="127.0.0.0/8",
        SMTP_CA_FILE=str(trusted),
        SMTP_ALLOW_CLEARTEXT_LOGIN="true",
        LOG_LEVEL="debug",
    )


async def test_a_secret_appears_only_where_it_was_sent(
    environment: dict[str, str], secrets: Secrets, authority: Authority, tmp_path: Path
) -> None:
    """Cases 13, 20 and 36: also not the token in a query that a client should not have put there."""
    password = secrets.mailbox.secret
    plain = Behaviour(ConnectionSecurity.NONE, password)
    encrypted = Behaviour(ConnectionSecurity.STARTTLS, password)
    async with (
        real_server(plain) as clear,
        real_server(encrypted) as tls,
        tapped(clear.port) as clear_wire,
        tapped(tls.port) as tls_wire,
    ):
        ports = {"MAILSETTINGS_SMTP_ALLOWED_PORTS": f"{clear_wire.port},{tls_wire.port}"}
        life = await lived(environment | ports, secrets, clear_wire.port, tls_wire.port)

    audit_logs = [said for where, said in life.said.items() if where.endswith(AUDIT_LOGS)]
    assert clear.attempts == ["CRAM-MD5"] * 2  # by which a password is not sent
    assert sorted(set(tls.attempts)) == ["PLAIN", "XOAUTH2"]
    assert authority.forms[0]["client_secret"] == [secrets.oauth2.secret]
    assert [len(server.messages) for server in (clear, tls)] == [1, 1]
    assert [HOST.encode() in said for said in audit_logs] == [True] * len(AUDIT_LOGS)
    for canary in secrets.all:
        canary.assert_nowhere(tmp_path, *clear.messages, *tls.messages)
        canary.assert_nowhere(bytes(clear_wire.heard), bytes(tls_wire.heard))
        for where, said in life.said.items():
            assert canary.found_in(said) == [], where


async def lived(environment: dict[str, str], secrets: Secrets, clear_port: int, tls_port: int) -> Life:
    data = Path(environment["MAILSETTINGS_DATA_DIR"])
    grants = ("--permission", "manage-system-settings", "--permission", "view-audit-log")
    with serving(environment) as (url, _):
        async with httpx.AsyncClient(base_url=url, timeout=GUARD_SECONDS) as http:
            life = Life(http, environment, secrets)
            robot = (
                await asyncio.to_thread(command, environment, "client", "add", "robot", *grants)
            ).stdout.strip()
            secrets.made.append(Canary(made=robot))
            await come_in(life, robot)
            await keep_and_test(life, clear_port, tls_port)
            await fail(life, clear_port)
            await life.run("key", "encryption", "rotate")
            await life.run("key", "encryption", "reseal")
            for view in VIEWS:
                assert (await life.ask("GET", view)).status_code == 200, view
            await asyncio.gather(life.run("audit", "list"), life.run("audit", "list", "--json"))
            back_up(data, "before")
            for path in (MAIL_SERVER, f"{SMTP_SETTINGS}/2"):
                assert (await life.ask("DELETE", path)).is_success
            back_up(data, "after")
    return life


async def come_in(life: Life, robot: str) -> None:
    """A person and a machine, both also with the wrong secret; the caller logs in last."""
    known = {"client_id": "resource_owner_client", "client_secret": life.secrets.login_client.secret}
    person = {"grant_type": "password", "username": "admin", **known}
    machine = {"grant_type": "client_credentials", "client_id": "robot"}
    wrong, right = life.secrets.mailbox.secret, life.secrets.account.secret
    answers = [
        await life.log_in(**person, password=wrong),
        await life.log_in(**person | {"client_secret": right}, password=right),
        await life.log_in(**machine, client_secret=wrong),
        await life.log_in(**person, password=right),
        await life.log_in(**machine, client_secret=robot),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 200, 200]


async def keep_and_test(life: Life, clear_port: int, tls_port: int) -> None:
    by_oauth2 = oracle_oauth2(life.secrets.oauth2.secret) | {"host": HOST, "port": tls_port}
    by_oauth2["auth"]["oAuth2Details"]["username"] = USERNAME
    by_password = oracle(life.secrets.mailbox.secret) | {"host": HOST, "port": tls_port}
    by_password["auth"]["username"] = USERNAME
    in_clear = in_clear_to(clear_port)
    receiver = {"recipient": "to@example.org"}
    answers = [
        await life.ask("PUT", MAIL_SERVER, json=by_oauth2),
        await life.ask(
            "POST", f"{MAIL_SERVER}/actions/test", json=receiver
        ),  # the mail server wants another token
        await life.ask("PUT", MAIL_SERVER, json=by_password),
        await life.ask("POST", f"{MAIL_SERVER}/actions/test", json=receiver),
        await life.ask("POST", SMTP_SETTINGS, json=checkmarx(life.secrets.mailbox.secret) | in_clear),
        await life.ask(
            "POST",
            f"{SMTP_SETTINGS}/testconnection",
            json=checkmarx_test(life.secrets.mailbox.secret) | in_clear,
            headers={"Prefer": "return=representation"},
        ),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 200, 200, 201, 200], answers[-1].text


def in_clear_to(port: int) -> dict[str, Any]:
    return {"host": HOST, "port": port, "encryptionType": "None", "username": USERNAME}


async def fail(life: Life, clear_port: int) -> None:
    """Every fault in these requests is next to a secret, or is a secret."""
    mailbox, account = life.secrets.mailbox.secret, life.secrets.account.secret
    good = checkmarx(mailbox)
    moved = {name: value for name, value in good.items() if name != "password"}
    json_type = {"Content-Type": "application/json"}
    wrong_password = checkmarx_test(life.secrets.oauth2.secret) | in_clear_to(clear_port)
    answers = [
        await life.ask("POST", SMTP_SETTINGS, json={name: good[name] for name in ("host", "password")}),
        await life.ask("PUT", MAIL_SERVER, json=oracle(mailbox) | {"port": mailbox}),
        await life.ask("PUT", MAIL_SERVER, content=f'{{"password": "{mailbox}", "x": NaN}}', headers=json_type),
        await life.ask("PUT", f"{SMTP_SETTINGS}/2", json=moved | {"host": "mail.example.org"}),
        await life.ask("POST", f"{SMTP_SETTINGS}/testconnection", json=wrong_password),
        await life.ask("PUT", MAIL_SERVER, content=mailbox, headers={"Content-Type": "text/plain"}),
        await life.ask("GET", "/audit", params={"since": account}),
        await life.ask("GET", SMTP_SETTINGS, headers={"Authorization": f"Bearer {account}".encode()}),
        await life.ask("GET", SMTP_SETTINGS, params={"access_token": account}, headers={"Authorization": ""}),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 400, 415, 400, 401, 401]


def back_up(data: Path, name: str) -> None:
    """As an operator would, by SQLite's own means."""
    source, copy = sqlite3.connect(data / "mailsettings.db"), sqlite3.connect(data / f"{name}.backup")
    source.backup(copy)
    source.close()
    copy.close()
