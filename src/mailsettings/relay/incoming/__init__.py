"""The device's half of the relay: connections, commands, and the content of a message."""
