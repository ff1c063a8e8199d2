"""What a caller can do, one function each: permission, rule, transaction. No HTTP, no SQL, no SMTP."""
