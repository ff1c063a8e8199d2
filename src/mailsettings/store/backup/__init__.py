"""Backups: their content, their encrypted file format, and restoring them."""
