"""The composition root: build the whole service from the settings.

This module imports nothing: the relay, which composes itself in `relay.py`, stays free of the APIs.
"""
