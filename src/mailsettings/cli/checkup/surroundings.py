"""What `doctor` finds around the service: issuers, webhook, collector, and the rights in the database."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence

from mailsettings.auth.jwks import KeysUnusable
from mailsettings.auth.oidc import OIDCTokenReader
from mailsettings.bootstrap.identity import create_foreign_tokens
from mailsettings.bootstrap.outgoing import create_collector_client, create_egress, create_webhook
from mailsettings.cli.command import Failure
from mailsettings.cli.findings import Finding, State, good, wrong
from mailsettings.cli.running import reporting_errors
from mailsettings.network.http import RequestFailed
from mailsettings.settings import Settings
from mailsettings.store.rights import rights_in

REACH_SECONDS = 5


def rights(chosen: Settings) -> Iterator[Finding]:
    """Yield what the role may do in the database, and how the database stores texts."""
    try:
        with reporting_errors():
            found = rights_in(chosen.database)
    except Failure as failure:
        yield wrong("rights", failure.message)
        return
    yield good("encoding", f"{found.encoding}.")
    if found.missing:
        yield wrong("rights", f"The role lacks {', '.join(found.missing)}.", "Grant them; see docs/databases.md.")
    elif not found.migrates:
        advice = "Let a role that owns the tables run: mailsettings migrate"
        yield Finding("rights", State.NOTE, "The role reads and writes all tables and cannot migrate.", advice)
    else:
        yield good("rights", "The role reads, writes and migrates all tables.")


def outgoing(chosen: Settings) -> Iterator[Finding]:
    """Yield whether the issuers, the webhook and the collector of the settings answer; no event is sent."""
    try:
        with reporting_errors():
            yield from asyncio.run(_outgoing(chosen))
    except Failure as failure:
        yield wrong("settings", failure.message)


async def _outgoing(chosen: Settings) -> Sequence[Finding]:
    checks = [_issuer(reader) for reader in create_foreign_tokens(chosen)]
    answers = "It" if chosen.outgoing_proxy is None else "The proxy on the way to it"
    found = f"{answers} accepts connections; nothing was sent."
    if (webhook := create_webhook(chosen, create_egress(chosen))) is not None:
        checks.append(
            _reached("webhook", found, webhook.reach(), "Check MAILSETTINGS_WEBHOOK_URL and its CA file.")
        )
    if chosen.otlp_endpoint is not None:
        deadline = asyncio.get_running_loop().time() + REACH_SECONDS
        reaching = create_collector_client(chosen).reach(chosen.otlp_endpoint, deadline=deadline)
        checks.append(_reached("collector", found, reaching, "Check MAILSETTINGS_OTLP_ENDPOINT."))
    return await asyncio.gather(*checks)


async def _issuer(reader: OIDCTokenReader) -> Finding:
    issuer = reader.trusted.issuer
    try:
        count = await reader.published_keys()
    except (RequestFailed, KeysUnusable) as failed:
        return wrong("issuer", f"{issuer}: {failed}.", "Check its address, its CA file and the network.")
    if count == 0:
        return wrong("issuer", f"{issuer} publishes no usable key.", "Check the algorithms of its keys.")
    return good("issuer", f"{issuer} publishes {count} usable keys.")


async def _reached(check: str, found: str, reaching: Awaitable[None], advice: str) -> Finding:
    try:
        await reaching
    except RequestFailed as failed:
        return wrong(check, f"It cannot be reached: {failed}.", advice)
    return good(check, found)
