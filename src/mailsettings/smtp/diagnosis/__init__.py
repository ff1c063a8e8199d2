"""Explain why a connection test failed, and find settings that would work."""
