"""SQL lives here and nowhere else: tables, transactions, migrations, sealing of secrets, the read cache."""
