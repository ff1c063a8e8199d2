"""Whose token it is: each is passed to the reader for the issuer that it names, and to no other."""

from collections.abc import Awaitable, Callable

from mailsettings.auth.unverified import invalid_token, parse_unverified
from mailsettings.domain.access import ISSUER_SEPARATOR, TokenClaims

ReadToken = Callable[[str], Awaitable[TokenClaims]]


class TokenReaderByIssuer:
    """Our own tokens, and those of one more issuer. The name is believed only as far as to choose the reader."""

    def __init__(self, own_issuer: str, own: ReadToken, issuer: str, foreign: ReadToken) -> None:
        self._own_issuer = own_issuer
        self._own = own
        self._issuer = issuer
        self._foreign = foreign

    async def read(self, token: str) -> TokenClaims:
        """What *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        issuer = parse_unverified(token).claims.get("iss")
        if issuer == self._issuer:
            return await self._foreign(token)
        if issuer != self._own_issuer:
            raise invalid_token()
        claims = await self._own(token)
        if ISSUER_SEPARATOR in claims.subject:  # an account from before such names were reserved
            raise invalid_token()
        return claims
