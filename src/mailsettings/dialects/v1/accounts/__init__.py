"""Accounts of people, and clients, which are accounts of machines."""
