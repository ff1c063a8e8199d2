"""Connections to other hosts: which addresses are allowed, how they are reached, and HTTP requests to services."""
