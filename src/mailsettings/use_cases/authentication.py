"""Who is calling, by the token that was shown, and as things are now.

A token says who it was issued to; what that account may do, and whether the token still counts, is asked of the
store each time. So a removed account, a changed password and a permission that was taken away show at the next
request, on every replica.
"""

from mailsettings.domain.access import Grants, Origin, Permission, Principal, TokenClaims
from mailsettings.domain.audit_log import Action
from mailsettings.domain.errors import NotAuthenticated
from mailsettings.use_cases.auditing import error_name
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.ports import Store, TokenReader


class Authenticator:
    """Turns tokens into principals; *grants* are all names that permissions are given by."""

    def __init__(self, store: Store, tokens: TokenReader, grants: Grants, denial_log: DenialLog) -> None:
        self._store = store
        self._tokens = tokens
        self._grants = grants
        self._denial_log = denial_log

    async def by_token(self, token: str, origin: Origin) -> Principal:
        """The principal that *token* speaks for. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        try:
            claims = await self._tokens.read(token)
            granted = claims.grants if claims.stamp is None else await self._granted_now(claims)
        except NotAuthenticated as refused:
            await self._denial_log.note(None, origin, Action.ACCESS, None, {"problem": error_name(refused)})
            raise
        allowed = frozenset[Permission]().union(*(self._grants.get(name, frozenset()) for name in granted))
        return Principal(claims.subject, allowed, origin)

    async def denied(self, caller: Principal, permission: Permission) -> None:
        """Write down that *caller* asked for what it may not do."""
        details = {"permission": permission.value}
        await self._denial_log.note(caller.name, caller.origin, Action.ACCESS, None, details)

    async def _granted_now(self, claims: TokenClaims) -> frozenset[str]:
        found = await self._store.cache.account(claims.subject)
        if found is None or found.stamp != claims.stamp:
            raise NotAuthenticated("The access token is no longer good.", presented=True)
        return found.account.grants
