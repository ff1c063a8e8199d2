"""Devices: the programs and printers that submit mail to the relay."""
