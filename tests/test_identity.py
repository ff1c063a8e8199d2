"""Who may: two servers of one database agree on it at each request, and guessing is slow on both."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import jwt
import pytest

from mailsettings import settings
from mailsettings.auth.tokens import MAX_AGE_SECONDS
from mailsettings.bootstrap.backend import Backend, create_backend, prepare
from mailsettings.bootstrap.service import create_service
from mailsettings.domain.access import OPERATOR, Account, AccountKind
from mailsettings.domain.login_throttling import ACCOUNT_FROM_NETWORK_LIMIT, NETWORK_LIMIT

from support.real_service import cheap_passwords
from support.service import BASE_URL, SMTP_SETTINGS, TOKEN

CANARY = "canary-91be0c44 ünd 'quotes\" "
JWKS = "/cxrestapi/auth/identity/.well-known/openid-configuration/jwks"
USER, CLIENT = AccountKind.USER, AccountKind.CLIENT
NEW = {"host": "mail.example.org", "port": 25, "fromAddress": "a@b"}


class Replica:
    """One server."""

    def __init__(self) -> None:
        self.backend = create_backend(settings.read(), passwords=cheap_passwords())
        transport = httpx.ASGITransport(create_service(self.backend), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=BASE_URL)

    async def log_in(self, **form: str) -> httpx.Response:
        return await self.http.post(TOKEN, data={"scope": "access_control_api", **form})

    async def token(self, name: str, password: str = CANARY) -> str:
        answer = await self.log_in(grant_type="password", username=name, password=password)
        return str(answer.json()["access_token"])

    async def status(self, token: str, method: str = "GET") -> int:
        headers = {"Authorization": f"Bearer {token}"}
        body = NEW if method == "POST" else None
        return (await self.http.request(method, SMTP_SETTINGS, headers=headers, json=body)).status_code


@pytest.fixture
async def replicas(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Replica, Replica]]:
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", database_url)
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(tmp_path / "keys"))
    prepare(settings.read())
    first, second = Replica(), Replica()
    for replica in (first, second):
        await replica.backend.establish()
    await first.backend.accounts.add(OPERATOR, Account("alice", frozenset({"manage-system-settings"})), CANARY)
    yield first, second
    for replica in (first, second):
        await replica.http.aclose()
        await replica.backend.close()


async def test_token_opens_every_server_until_its_account_is_gone(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    token = await first.token("alice")
    assert [await each.status(token) for each in replicas] == [200, 200]

    await second.backend.accounts.remove(OPERATOR, USER, "alice")

    assert [await each.status(token) for each in replicas] == [401, 401]


async def test_a_changed_password_ends_tokens_on_every_server(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    token = await first.token("alice")
    assert await second.status(token) == 200

    await first.backend.accounts.set_password(OPERATOR, USER, "alice", CANARY + "2")

    assert [await each.status(token) for each in replicas] == [401, 401]
    assert await second.status(await second.token("alice", CANARY + "2")) == 200


async def test_a_revoked_permission_is_gone_on_every_server(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    token = await first.token("alice")
    assert [await each.status(token, "POST") for each in replicas] == [201, 201]

    await second.backend.accounts.set_grants(OPERATOR, USER, "alice", ["view-mail-settings"])

    assert [await each.status(token, "POST") for each in replicas] == [403, 403]
    assert [await each.status(token) for each in replicas] == [200, 200]


async def test_a_machine_logs_in_by_form_and_by_header(
    replicas: tuple[Replica, Replica],
) -> None:
    first, second = replicas
    robot = Account("robot:1", frozenset({"manage-system-settings"}), CLIENT)
    await first.backend.accounts.add(OPERATOR, robot, CANARY)

    by_form = await second.log_in(grant_type="client_credentials", client_id="robot:1", client_secret=CANARY)
    as_user = await second.log_in(grant_type="password", username="robot:1", password=CANARY)
    wrong = await second.log_in(grant_type="client_credentials", client_id="robot:1", client_secret="x")
    nobody = await second.log_in(grant_type="client_credentials", client_id="nobody", client_secret=CANARY)

    assert by_form.status_code == 200
    assert await first.status(by_form.json()["access_token"]) == 200
    assert (as_user.status_code, as_user.json()["error"]) == (400, "invalid_grant")
    assert (wrong.status_code, wrong.json()) == (400, {"error": "invalid_client"})
    assert (nobody.status_code, nobody.json()) == (wrong.status_code, wrong.json())


async def test_a_client_secret_may_come_by_basic_authentication(replicas: tuple[Replica, Replica]) -> None:
    first, _ = replicas
    await first.backend.accounts.add(OPERATOR, Account("robot", frozenset(), CLIENT), "a b+c:d%")
    answer = await first.http.post(
        TOKEN, data={"grant_type": "client_credentials"}, auth=httpx.BasicAuth("robot", "a+b%2Bc%3Ad%25")
    )

    assert answer.status_code == 200


async def test_guesses_at_one_server_are_counted_at_the_other(replicas: tuple[Replica, Replica]) -> None:
    """Case 38."""
    answers = [
        await replicas[number % 2].log_in(grant_type="password", username="alice", password="wrong")
        for number in range(ACCOUNT_FROM_NETWORK_LIMIT.free_failures)
    ]
    right = [await each.log_in(grant_type="password", username="alice", password=CANARY) for each in replicas]

    assert {(each.status_code, each.json()["error_description"]) for each in answers} == {
        (400, "invalid_username_or_password")
    }
    assert {each.status_code for each in right} == {429}
    assert {int(each.headers["retry-after"]) for each in right} <= {4, 5}
    assert {each.json()["error"] for each in right} == {"invalid_grant"}


async def test_unknown_names_and_wrong_passwords_get_the_same_answers(
    replicas: tuple[Replica, Replica],
) -> None:
    """Case 38."""

    def said(answer: httpx.Response) -> tuple[int, str, list[str]]:
        return answer.status_code, answer.text[:60], sorted(answer.headers)

    first, _ = replicas
    for _attempt in range(ACCOUNT_FROM_NETWORK_LIMIT.free_failures + 1):
        known = await first.log_in(grant_type="password", username="alice", password="wrong")
        unknown = await first.log_in(grant_type="password", username="nobody", password="wrong")
        assert said(known) == said(unknown)


async def test_guesses_at_the_vendors_client_secret_are_throttled_too(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILSETTINGS_TOKEN_CLIENT_SECRET", CANARY)
    guarded = Replica()
    form = {"grant_type": "password", "username": "alice", "password": CANARY}
    wrong = [
        await guarded.log_in(**form, client_secret=f"{number}") for number in range(NETWORK_LIMIT.free_failures)
    ]
    right = await guarded.log_in(**form, client_secret=CANARY)
    still_wrong = await guarded.log_in(**form, client_secret="x")
    log = await guarded.backend.use_cases.audit_log.page(OPERATOR)
    await guarded.backend.close()

    assert {(each.status_code, each.json()["error"]) for each in wrong} == {(400, "invalid_client")}
    assert [right.status_code, still_wrong.status_code] == [429, 429]
    assert [entry.record.outcome for entry in log].count("refused") == NETWORK_LIMIT.free_failures + 2
    assert CANARY not in repr(log)


async def test_keys_rotate_with_overlap_and_dropping_one_ends_tokens(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = replicas
    old = await first.token("alice")
    [(old_key, _)] = await first.backend.signing_keys.list()
    new_key = await second.backend.signing_keys.rotate(OPERATOR)
    new = await first.token("alice")

    assert jwt.get_unverified_header(new)["kid"] == new_key
    assert [await each.status(token) for each in replicas for token in (old, new)] == [200] * 4

    await first.backend.signing_keys.drop(OPERATOR, old_key)
    for replica in replicas:
        _let_time_pass(replica.backend, MAX_AGE_SECONDS + 1)
    assert [await each.status(token) for each in replicas for token in (old, new)] == [401, 200, 401, 200]


async def test_others_verify_tokens_with_the_published_keys(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    token = await first.token("alice")
    discovered = (await second.http.get(JWKS.removesuffix("/jwks"))).json()
    keys = jwt.PyJWKSet.from_dict((await second.http.get(discovered["jwks_uri"])).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]

    claims = jwt.decode(token, key.key, ["ES256"], audience="mailsettings", issuer=discovered["issuer"])

    assert claims["sub"] == "alice"
    assert discovered["token_endpoint"] == f"{BASE_URL}{TOKEN}"
    assert CANARY not in token


def _let_time_pass(backend: Backend, seconds: float) -> None:
    """Turn the clock of what a server remembers of keys; waiting would take as long."""
    keys = backend.issuer._keys  # noqa: SLF001  # the one thing with this clock
    keys._read_at -= seconds  # noqa: SLF001  # as above
