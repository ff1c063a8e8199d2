"""What a list shows of each mail server: as it was checked when it was stored, and without its secret."""

ListedMailServer = tuple[int, str, int, str, str, str | None, str | None, bool | int]
"""Id, host, port, value of its `ConnectionSecurity`, address and display name of the sender, user name, and
whether it logs in as the machine itself.

A tuple and nothing more: to make an object of each of a hundred thousand takes longer than to read them.
"""
