"""What `oidc check` finds in a token, by the settings of this machine and the keys that the issuer publishes.

Each rule is looked at apart from the others, so that a token with several faults shows all of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime

from mailsettings.auth.access_token import (
    UnverifiedToken,
    bounded,
    claim_at,
    issuer_problem,
    parse_unverified,
    require_access_token,
    require_header,
    values_at,
)
from mailsettings.auth.oidc import LEEWAY_SECONDS, OIDCTokenReader
from mailsettings.auth.trusted_issuer import TrustedIssuer
from mailsettings.bootstrap.identity import create_foreign_tokens
from mailsettings.cli.command import USAGE, Failure
from mailsettings.cli.findings import Finding, State, good, wrong
from mailsettings.cli.running import read_settings, reporting_errors
from mailsettings.domain.errors import IdentityUnavailable, NotAuthenticated


def findings_of(token: str) -> Iterator[Finding]:
    """Yield what each rule says about *token*. Raises `Failure` without an issuer in the settings."""
    with reporting_errors():
        readers = create_foreign_tokens(read_settings())
    if not readers:
        raise Failure("The settings name no issuer: set MAILSETTINGS_OIDC_ISSUER.", USAGE)
    try:
        unverified = parse_unverified(token, readers[0].trusted.max_token_length)
    except NotAuthenticated as refused:
        yield _refused("form", refused)
        return
    yield good("form", f"{len(token)} characters in three parts.")
    issuer = unverified.claims.get("iss")
    reader = next((each for each in readers if issuer in each.trusted.accepted_issuers), None)
    yield _issuer(issuer, readers)
    yield from _claims(unverified, (reader or readers[0]).trusted)
    if reader is not None:
        yield from asyncio.run(_verified(token, reader))


def _issuer(issuer: object, readers: Sequence[OIDCTokenReader]) -> Finding:
    known = [name for reader in readers for name in reader.trusted.accepted_issuers]
    if issuer in known:
        return good("iss", f"{bounded(issuer)}.")
    advice = f"The settings have {', '.join(known)}; write the issuer exactly as its tokens do."
    return wrong("iss", f"{bounded(issuer)}: {issuer_problem(issuer, known)}.", advice)


def _claims(unverified: UnverifiedToken, trusted: TrustedIssuer) -> Iterator[Finding]:
    header, claims = unverified.header, unverified.claims
    shown = ", ".join(f"{name} {bounded(header[name])}" for name in ("alg", "typ", "kid") if name in header)
    yield _checked("header", f"{shown}.", lambda: require_header(header, trusted.algorithms))
    tolerated = trusted.id_token_claims
    yield _checked(
        "kind", "An access token, by its claims.", lambda: require_access_token(header, claims, tolerated)
    )
    yield _audience(claims, trusted)
    yield from _times(claims)
    for required, accepted in trusted.required:
        yield _required(claims, required, accepted)
    yield _caller(claims, trusted)
    for each in trusted.permissions:
        values, granted = bounded(claim_at(claims, each.claim)), ", ".join(sorted(each.given_by(claims)))
        state = State.GOOD if granted else State.NOTE
        yield Finding(".".join(each.claim), state, f"{values} gives {granted or 'no permission'}.")


def _caller(claims: dict[str, object], trusted: TrustedIssuer) -> Finding:
    claim = trusted.subject_claim
    if claim_at(claims, claim) is None and trusted.client_subject_claim is not None:
        claim = trusted.client_subject_claim
    found = f"{bounded(claim_at(claims, claim))}, the name of the caller."
    return _checked(".".join(claim), found, lambda: trusted.caller_of(claims))


def _required(claims: dict[str, object], claim: Sequence[str], values: Collection[str]) -> Finding:
    name, found = f"required {'.'.join(claim)}", bounded(claim_at(claims, claim))
    if values_at(claims, claim).isdisjoint(values):
        return wrong(name, f"{found}, no value that the settings require.", f"One of {', '.join(sorted(values))}.")
    return good(name, f"{found}, as the settings require.")


def _audience(claims: dict[str, object], trusted: TrustedIssuer) -> Finding:
    audience, accepted = claims.get("aud"), trusted.audiences
    if not accepted and "aud" not in claims:
        return good("aud", "missing, and the settings name the clients instead.")
    named = audience if isinstance(audience, list) else [audience]
    if set(accepted) & {each for each in named if isinstance(each, str)}:
        return good("aud", f"{bounded(audience)}.")
    advice = f"The settings have {', '.join(accepted) or 'none'}; let the issuer add one of them, or change it."
    return wrong("aud", f"{bounded(audience)}, no audience of this service.", advice)


def _times(claims: dict[str, object]) -> Iterator[Finding]:
    now = time.time()
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if value is None and name != "exp":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield wrong(name, f"{bounded(value)} is not a time.")
            continue
        passed = now - value
        late = passed >= LEEWAY_SECONDS if name == "exp" else passed < -LEEWAY_SECONDS
        found = f"{_moment(value)}, {abs(passed):.0f} s {'ago' if passed >= 0 else 'ahead'}."
        advice = "Get a new token." if name == "exp" else "Synchronise the clocks of the issuer and this machine."
        yield wrong(name, found, advice) if late else good(name, found)


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return "beyond all calendars"


async def _verified(token: str, reader: OIDCTokenReader) -> Sequence[Finding]:
    signed = await _awaited("signature", "It fits a key of the issuer.", reader.require_signature(token))
    accepted = await _awaited("result", "The service accepts the token.", reader.read(token))
    return [signed, accepted]


async def _awaited(check: str, found: str, rule: Awaitable[object]) -> Finding:
    try:
        await rule
    except NotAuthenticated as refused:
        return _refused(check, refused)
    except IdentityUnavailable as unavailable:
        return wrong(check, str(unavailable), "The line of the log before this one has the cause.")
    return good(check, found)


def _checked(check: str, found: str, rule: Callable[[], object]) -> Finding:
    try:
        rule()
    except NotAuthenticated as refused:
        return _refused(check, refused)
    return good(check, found)


def _refused(check: str, refused: NotAuthenticated) -> Finding:
    reason = refused.reason or str(refused)
    return wrong(check, f"{reason[:1].upper()}{reason[1:].rstrip('.')}.")
