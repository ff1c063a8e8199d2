"""Several trusted issuers, one of which is hostile: it gets neither permissions nor names of another."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mailsettings import settings
from mailsettings.auth.issuers import TokenReaderByIssuer
from mailsettings.bootstrap.backend import create_backend, prepare
from mailsettings.bootstrap.identity import create_foreign_tokens
from mailsettings.bootstrap.service import create_service
from mailsettings.bootstrap.use_cases import ISSUER
from mailsettings.domain.access import OPERATOR, TokenClaims
from mailsettings.domain.errors import IdentityUnavailable, NotAuthenticated

from support.openid_issuer import AUDIENCE, KEYS, OpenIDIssuer, SigningKey, answer
from support.real_service import cheap_passwords
from support.service import BASE_URL

Read = Callable[[str], Awaitable[TokenClaims]]


@pytest.fixture
def other() -> Iterator[OpenIDIssuer]:
    """A second issuer, which has the same subjects, and a key under the same id."""
    made = OpenIDIssuer()
    made.start()
    yield made
    made.go_away()


@pytest.fixture
def file(issuer: OpenIDIssuer, other: OpenIDIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trust in both: people of the first may do everything, machines of the other may read."""
    path = tmp_path / "issuers.toml"
    path.write_text(
        f"""
        [[issuer]]
        name = "staff"
        issuer = "{issuer.url}"
        audience = ["{AUDIENCE}"]
        [[issuer.permissions]]
        claim = "roles"
        values.mail-admin = ["manage-system-settings"]

        [[issuer]]
        name = "machines"
        issuer = "{other.url}"
        audience = ["{AUDIENCE}"]
        [[issuer.permissions]]
        claim = "scope"
        values."mail:read" = ["view-mail-settings"]
        values."mail:test" = ["test-mail-servers"]
        """
    )
    monkeypatch.setenv("MAILSETTINGS_OIDC_ISSUERS_FILE", str(path))
    return path


@pytest.fixture
def read(file: Path) -> Read:  # its variable
    return reader()


def reader() -> Read:
    async def own(_token: str) -> TokenClaims:
        raise AssertionError("no token here is our own")

    readers = create_foreign_tokens(settings.read())
    by_issuer = {name: reader.read for reader in readers for name in reader.trusted.accepted_issuers}
    return TokenReaderByIssuer(ISSUER, own, by_issuer).read


async def rejected(read: Read, token: str) -> bool:
    with pytest.raises(NotAuthenticated):
        await read(token)
    return True


async def test_two_issuers_with_equal_subjects_are_two_callers(
    read: Read, issuer: OpenIDIssuer, other: OpenIDIssuer
) -> None:
    staff, machine = await read(issuer.token()), await read(other.token(scope="mail:read"))

    assert (staff.subject, staff.grants) == ("staff|alice", frozenset({"manage-system-settings"}))
    assert (machine.subject, machine.grants) == ("machines|alice", frozenset({"view-mail-settings"}))


async def test_a_value_of_another_issuer_gives_nothing(read: Read, other: OpenIDIssuer) -> None:
    assert (await read(other.token(roles=["mail-admin"]))).grants == set()


async def test_no_issuer_signs_for_another(read: Read, issuer: OpenIDIssuer, other: OpenIDIssuer) -> None:
    """Also with a key under the same id, cold and with the keys of both known."""
    other.key.key_id = issuer.key.key_id
    forged = other.token(iss=issuer.url)

    assert await rejected(read, forged)
    await read(other.token())
    assert await rejected(read, forged)
    assert await rejected(read, issuer.token(iss=other.url))


async def test_keys_of_another_issuer_count_for_their_publisher_only(
    read: Read, issuer: OpenIDIssuer, other: OpenIDIssuer
) -> None:
    """An issuer that publishes the keys of another lets that one sign for itself, not the reverse."""
    other.published = [other.key.jwk(kid="second"), issuer.key.jwk()]
    issuer.key.key_id, other.key.key_id = "first", "second"

    assert (await read(issuer.token(iss=other.url))).subject == "machines|alice"
    assert await rejected(read, other.token(iss=issuer.url))


@pytest.mark.usefixtures("file")
async def test_a_verified_token_counts_for_its_issuer_only(issuer: OpenIDIssuer) -> None:
    staff, machines = create_foreign_tokens(settings.read())
    token = issuer.token()
    await staff.read(token)

    assert await rejected(machines.read, token)


async def test_the_outage_of_one_issuer_is_not_that_of_another(
    read: Read, issuer: OpenIDIssuer, other: OpenIDIssuer
) -> None:
    other.lies[KEYS] = lambda handler: answer(handler, b"", 500)

    with pytest.raises(IdentityUnavailable):
        await read(other.token())
    assert (await read(issuer.token())).subject == "staff|alice"


async def test_an_issuer_outside_the_file_is_unknown(read: Read, issuer: OpenIDIssuer) -> None:
    for name in (f"{issuer.url}/", issuer.url.upper(), "https://elsewhere.example", "", None):
        assert await rejected(read, issuer.token(iss=name))

    assert issuer.asked == []


ONE, TWO = "aaaabbbb-0000-cccc-1111-dddd2222eeee", "bbbbcccc-1111-dddd-2222-eeee3333ffff"


@pytest.fixture
def tenants(issuer: OpenIDIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Two tenants of one provider, which signs for all its tenants with one key."""
    path = tmp_path / "tenants.toml"
    path.write_text(
        f"""
        [[issuer]]
        name = "entra"
        issuer = "{issuer.url}/{{tenantid}}/v2.0"
        tenants = ["{ONE}", "{TWO}"]
        token_issuers = ["{issuer.url}/{{tenantid}}/v2.0", "https://sts.example/{{tenantid}}/"]
        audience = ["{AUDIENCE}"]
        [[issuer.permissions]]
        claim = "roles"
        values.mail-admin = ["manage-system-settings"]
        """
    )
    monkeypatch.setenv("MAILSETTINGS_OIDC_ISSUERS_FILE", str(path))
    return reader()


async def test_only_listed_tenants_are_trusted_each_by_its_name(tenants: Read, issuer: OpenIDIssuer) -> None:
    for iss in (f"{issuer.url}/{ONE}/v2.0", f"https://sts.example/{ONE}/"):
        assert (await tenants(issuer.token(iss=iss))).subject == f"entra/{ONE}|alice"
    assert (await tenants(issuer.token(iss=f"{issuer.url}/{TWO}/v2.0"))).subject == f"entra/{TWO}|alice"

    for tenant in ("9188040d-6c67-4c5b-b112-36a304b66dad", "common", "{tenantid}", f"{ONE}/x", f"../{ONE}", ""):
        assert await rejected(tenants, issuer.token(iss=f"{issuer.url}/{tenant}/v2.0"))


async def test_a_key_that_names_another_tenant_is_unused(tenants: Read, issuer: OpenIDIssuer) -> None:
    # https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-the-issuer
    every, two = SigningKey("every"), SigningKey("two")
    issuer.published = [
        every.jwk(issuer=f"{issuer.url}/{{tenantid}}/v2.0"),
        two.jwk(issuer=f"{issuer.url}/{TWO}/v2.0"),
    ]
    of_one, of_two = (issuer.claims(iss=f"{issuer.url}/{tenant}/v2.0") for tenant in (ONE, TWO))

    assert (await tenants(every.sign(of_one))).subject == f"entra/{ONE}|alice"
    assert (await tenants(two.sign(of_two))).subject == f"entra/{TWO}|alice"
    assert await rejected(tenants, two.sign(of_one))


@pytest.fixture
async def service(
    file: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[httpx.AsyncClient, Callable[[], Awaitable[list[str | None]]]]]:
    """The service over HTTP, and the actors in its audit log."""
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", database_url)
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(file.parent / "data"))
    monkeypatch.setenv("MAILSETTINGS_SMTP_MAX_TESTS_PER_MINUTE_PER_CLIENT", "1")
    prepare(settings.read())
    backend = create_backend(settings.read(), passwords=cheap_passwords())

    async def actors() -> list[str | None]:
        return [entry.record.actor for entry in await backend.use_cases.audit_log.page(OPERATOR)]

    transport = httpx.ASGITransport(create_service(backend), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        await backend.establish()
        yield http, actors
    await backend.close()


@pytest.fixture
def kind() -> str:
    """The database does not change who a caller is."""
    return "sqlite"


async def test_audit_log_and_limits_tell_equal_subjects_apart(
    service: tuple[httpx.AsyncClient, Callable[[], Awaitable[list[str | None]]]],
    issuer: OpenIDIssuer,
    other: OpenIDIssuer,
) -> None:
    http, actors = service
    staff, machine = issuer.token(), other.token(scope="mail:read mail:test")

    async def status(token: str) -> int:
        given = {"settings": {"host": "127.0.0.1", "sender": {"address": "reports@example.com"}}}
        answer = await http.post("/v1/tests", json=given, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code

    statuses = [await status(token) for token in (staff, staff, machine, machine)]

    assert statuses == [200, 429, 200, 429]
    assert {"staff|alice", "machines|alice"} <= set(await actors())
