"""Outbound connections: which are allowed, how they are made, and threads for calls that block."""
