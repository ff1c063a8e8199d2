"""How Alembic gets at the database: over the connection that `mailsettings.store.migrations` holds."""

from alembic import context

from mailsettings.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
# The transaction is begun and committed outside, with the lock that keeps other programs waiting.
context.run_migrations()
