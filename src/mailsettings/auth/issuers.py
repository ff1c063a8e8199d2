"""Whose token it is: each is passed to the reader for the issuer that it names, and to no other."""

from collections.abc import Awaitable, Callable

from mailsettings.auth.unverified import not_valid, parse
from mailsettings.domain.access import FOREIGN_MARK, TokenClaims

Read = Callable[[str], Awaitable[TokenClaims]]


class Issuers:
    """Our own tokens, and those of one more issuer. The name is believed only as far as to choose the reader."""

    def __init__(self, own_issuer: str, own: Read, issuer: str, foreign: Read) -> None:
        self._own_issuer = own_issuer
        self._own = own
        self._issuer = issuer
        self._foreign = foreign

    async def read(self, token: str) -> TokenClaims:
        """What *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        issuer = parse(token).claims.get("iss")
        if issuer == self._issuer:
            return await self._foreign(token)
        if issuer != self._own_issuer:
            raise not_valid()
        claims = await self._own(token)
        if FOREIGN_MARK in claims.subject:  # an account from before such names were reserved
            raise not_valid()
        return claims
