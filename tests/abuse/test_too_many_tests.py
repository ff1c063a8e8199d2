"""A caller who asks for one connection test after the other gets a few, and takes nothing from anybody else."""

import pytest

from bodies import checkmarx_test
from canary import Canary
from fakes import InMemoryStore, ScriptedProber
from service import LIMITS, MAIL_SERVER, SMTP_SETTINGS, Caller

REQUESTS = 1000


@pytest.fixture
def store() -> InMemoryStore:
    """Who may test does not depend on where the settings are kept."""
    return InMemoryStore()


async def test_of_a_thousand_tests_of_one_caller_a_few_are_made(
    api: Caller, prober: ScriptedProber, canary: Canary
) -> None:
    """Case 35."""
    path, body = f"{SMTP_SETTINGS}/testconnection", checkmarx_test(canary.secret)
    answers = [await api.send("POST", path, json=body) for _ in range(REQUESTS)]
    other = await api("tester").send("POST", path, json=body)
    shown = await api.send("GET", SMTP_SETTINGS)
    stored = await api.send("POST", f"{MAIL_SERVER}/actions/test", json={})

    assert [answer.status_code for answer in answers[: LIMITS.per_minute_each]] == [200] * LIMITS.per_minute_each
    refused = answers[LIMITS.per_minute_each :]
    assert {answer.status_code for answer in refused} == {429}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 61 for answer in refused)
    assert (other.status_code, shown.status_code) == (200, 200)
    assert stored.status_code == 404  # nothing is stored, which is no test
    assert len(prober.asked) == LIMITS.per_minute_each + 1
    canary.assert_nowhere(*{answer.content for answer in answers})
