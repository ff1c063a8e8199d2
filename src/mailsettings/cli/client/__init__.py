"""The client of `/v1`: near, in this process on the own database, or far, over HTTPS at a running service."""

from collections.abc import Iterator
from contextlib import contextmanager

from mailsettings.cli.client.client import Answer, Client
from mailsettings.cli.client.events import Event
from mailsettings.cli.command import chosen

__all__ = ["Answer", "Client", "Event", "service"]


@contextmanager
def service() -> Iterator[Client]:
    """Open the client that the shared options choose. Raises `Failure` or `click.UsageError`."""
    if chosen("url"):
        from mailsettings.cli.client.far import far_client

        with far_client() as client:
            yield client
    else:
        from mailsettings.cli.client.near import near_client

        with near_client() as client:
            yield client
