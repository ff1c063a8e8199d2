"""The mail server's half of the relay: pools of connections, and a message's way over one of them."""
