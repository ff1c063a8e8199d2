"""The relay: takes mail from devices by SMTP submission (RFC 6409) and hands it on to the stored mail servers.

It has no queue. A device gets 250 for a message only after the mail server accepted it.
"""
