"""The tables of devices, the message log and the relays."""
