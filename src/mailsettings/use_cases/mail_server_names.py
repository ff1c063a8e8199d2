"""Names the mail servers that a program of the previous version stored, which knew no names."""

from mailsettings.store.database import SQLStore

SERVERS_PER_TRANSACTION = 200
"""Few enough that no other writer waits for long."""


async def name_mail_servers(store: SQLStore) -> None:
    """Give each mail server without a name one of its host. Several processes may do so at once."""
    while await _any_unnamed(store):
        async with store.writing() as work:
            await work.mail_servers.name_unnamed(SERVERS_PER_TRANSACTION)


async def _any_unnamed(store: SQLStore) -> bool:
    async with store.reading() as view:
        return await view.mail_servers.any_unnamed()
