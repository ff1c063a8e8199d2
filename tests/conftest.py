"""Fixtures of all tests; each plugin is a module of this folder."""

pytest_plugins = ["databases", "service", "smtp_server"]
