"""HTTP plumbing that every API may use. Knows no vendor's path, word or error shape."""
