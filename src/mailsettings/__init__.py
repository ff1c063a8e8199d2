"""Keeps an organisation's outgoing-mail settings and proves that they work."""

__version__ = "0.5.0"
