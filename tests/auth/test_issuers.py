"""The issuer in a token chooses its reader, and cannot change the identity of a caller."""

import jwt
import pytest

from mailsettings.auth.issuers import TokenReaderByIssuer
from mailsettings.domain.access import ISSUER_SEPARATOR, TokenClaims
from mailsettings.domain.errors import NotAuthenticated

OWN, FOREIGN = "mailsettings", "https://idp.example"


def token(**claims: object) -> str:
    return jwt.encode(dict(claims), "a secret that nobody looks at here", "HS256")


def issuers(own_subject: str = "alice") -> TokenReaderByIssuer:
    async def own(token: str) -> TokenClaims:
        return TokenClaims(own_subject, frozenset({"own", token}), 0, "stamp")

    async def foreign(token: str) -> TokenClaims:
        return TokenClaims("idp.example|alice", frozenset({"foreign", token}), 0)

    return TokenReaderByIssuer(OWN, own, {FOREIGN: foreign})


@pytest.mark.parametrize(("issuer", "reader"), [(OWN, "own"), (FOREIGN, "foreign")])
async def test_a_token_is_read_by_its_issuers_reader(issuer: str, reader: str) -> None:
    text = token(iss=issuer)

    assert (await issuers().read(text)).grants == {reader, text}


@pytest.mark.parametrize(
    "text",
    [
        token(iss="https://elsewhere.example"),
        token(iss=f"{FOREIGN}/"),
        token(iss=FOREIGN.upper()),
        token(sub="alice"),
        "",
        "a.b.c",
        "..",
    ],
)
async def test_a_token_of_an_unknown_issuer_is_rejected(text: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await issuers().read(text)

    assert refused.value.presented
    assert str(refused.value) == "The access token is not valid."


async def test_an_account_cannot_pose_as_the_issuers_user() -> None:
    with pytest.raises(NotAuthenticated):
        await issuers(f"idp.example{ISSUER_SEPARATOR}alice").read(token(iss=OWN))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (
            {"iss": f"{FOREIGN}/"},
            "its issuer (iss) differs from that in the settings by a final slash alone",
        ),
        ({"iss": "https://elsewhere.example"}, "its issuer (iss) is not in the settings"),
        ({"sub": "alice"}, "its issuer (iss) is missing or not a text"),
    ],
)
async def test_the_reason_names_a_slash_and_no_unsigned_text(claims: dict[str, str], reason: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await issuers().read(token(**claims))

    assert refused.value.reason == reason
