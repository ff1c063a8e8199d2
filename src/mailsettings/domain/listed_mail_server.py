"""What a list shows of each mail server: nothing that costs anything to make, and no secret."""

from typing import NamedTuple


class ListedMailServer(NamedTuple):
    """One of many: as it was checked when it was stored, and not once more for each list.

    `security` is the value of a `ConnectionSecurity`; `username` is None where there is no login.
    """

    id: int
    host: str
    port: int
    security: str
    sender_address: str
    sender_name: str | None
    uses_ambient_credentials: bool
    username: str | None
