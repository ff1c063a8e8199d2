"""The only place with SQL: tables, transactions, migrations, encryption of secrets, backups and the read cache."""
