"""Passwords and access tokens, our own and an external issuer's. Knows neither our APIs nor SQL."""
