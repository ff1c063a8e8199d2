"""Fixtures: a database that is reached by way of a proxy."""

from collections.abc import Iterator

import pytest

from support.postgres import Postgres
from support.tcp_proxy import Proxy, proxied


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    with proxied(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_url(postgres: Postgres, postgres_url: str, proxy: Proxy) -> str:
    """By way of the proxy."""
    return postgres_url.replace(f":{postgres.port}/", f":{proxy.port}/")
