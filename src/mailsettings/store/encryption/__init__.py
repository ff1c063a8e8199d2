"""Encryption of stored secrets: the key file, the sealed columns, and the keys that the database knows."""
