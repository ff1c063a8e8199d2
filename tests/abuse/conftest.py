"""The service as a process of its own, and what it takes to speak to it byte by byte."""

from collections.abc import Iterator

import pytest

from support.processes import clean_environment, make_token, serving
from support.raw_http import Server

HEAD_SECONDS = 2
BODY_SECONDS = 3
ANSWER_SECONDS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for nobody longer than a few seconds."""
    environment = clean_environment(
        tmp_path_factory.mktemp("server") / "data",
        HEADERS_SECONDS=str(HEAD_SECONDS),
        BODY_SECONDS=str(BODY_SECONDS),
        ANSWER_SECONDS=str(ANSWER_SECONDS),
    )
    with serving(environment) as (url, output):
        yield Server(url, make_token(environment), output)
