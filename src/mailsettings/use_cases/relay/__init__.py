"""The message log, and how the relays of one database know of each other."""
