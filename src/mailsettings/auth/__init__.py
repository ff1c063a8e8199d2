"""Passwords and access tokens. Knows neither HTTP nor SQL."""
