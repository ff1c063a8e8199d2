"""Choose the reader of a token by the issuer that the token names."""

from collections.abc import Awaitable, Callable, Mapping

from mailsettings.auth.access_token import (
    MAX_TOKEN_LENGTH,
    invalid_token,
    issuer_problem,
    parse_unverified,
)
from mailsettings.domain.access import ISSUER_SEPARATOR, TokenClaims

ReadToken = Callable[[str], Awaitable[TokenClaims]]


class TokenReaderByIssuer:
    """Reads our own tokens and those of other issuers. The issuer in a token only chooses the reader.

    Each reader of *foreign* accepts the tokens of its issuer alone.
    """

    def __init__(
        self,
        own_issuer: str,
        own: ReadToken,
        foreign: Mapping[str, ReadToken],
        max_length: int = MAX_TOKEN_LENGTH,
    ) -> None:
        self._own_issuer = own_issuer
        self._own = own
        self._foreign = foreign
        self._max_length = max_length

    async def read(self, token: str) -> TokenClaims:
        """Return what *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        issuer = parse_unverified(token, self._max_length).claims.get("iss")
        if issuer == self._own_issuer:
            return await self._read_own(token)
        read = self._foreign.get(issuer) if isinstance(issuer, str) else None
        if read is None:
            raise invalid_token(issuer_problem(issuer, self._foreign))
        return await read(token)

    async def _read_own(self, token: str) -> TokenClaims:
        claims = await self._own(token)
        if ISSUER_SEPARATOR in claims.subject:  # an account that is older than the rule for names
            raise invalid_token("its subject looks like that of another issuer")
        return claims
