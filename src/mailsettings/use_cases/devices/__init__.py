"""Devices: managing them, their logins and rates, and testing one."""
