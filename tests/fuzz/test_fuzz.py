"""A short run of `make fuzz` with a fixed seed; what it fires at and what it looks for is in `campaign.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.__main__ import documents
from fuzz.campaign import Campaign
from fuzz.target import Raw, Target

REQUESTS = 1500
SEED = 20210901


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path)
    yield target
    target.close()


def test_no_request_breaks_a_promise(target: Target) -> None:
    """Case 11."""
    campaign = Campaign(target, documents())

    campaign.run(REQUESTS, SEED)

    assert campaign.found == {}
    assert target.requests >= REQUESTS
    assert {200, 201, 204, 400, 401, 404, 405, 415} <= set(target.by_status)


def test_each_request_meets_the_same_database(target: Target) -> None:
    admin = ((b"authorization", b"Bearer admin"),)
    delete = Raw("DELETE", b"/api/20210901/system/mail/server", admin)

    assert [target.fire(delete)[0].status for _ in range(3)] == [200, 200, 200]
