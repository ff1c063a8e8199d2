"""Passwords and access tokens: our own, and those of an external issuer. Knows neither our APIs nor SQL."""
