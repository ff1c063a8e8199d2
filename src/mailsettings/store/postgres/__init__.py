"""Everything about PostgreSQL alone."""
