"""The start of the service."""
