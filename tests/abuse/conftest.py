"""The service as a process of its own, and what it takes to speak to it byte by byte."""

from collections.abc import Iterator

import pytest

from support.processes import clean_environment, make_token, serving
from support.raw_http import Server

HEAD_SECONDS = 2
BODY_TIMEOUT_SECONDS = 3
RESPONSE_TIMEOUT_SECONDS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with time limits of a few seconds."""
    environment = clean_environment(
        tmp_path_factory.mktemp("server") / "data",
        HEADERS_TIMEOUT_SECONDS=str(HEAD_SECONDS),
        BODY_TIMEOUT_SECONDS=str(BODY_TIMEOUT_SECONDS),
        RESPONSE_TIMEOUT_SECONDS=str(RESPONSE_TIMEOUT_SECONDS),
    )
    with serving(environment) as (url, output):
        yield Server(url, make_token(environment), output)
