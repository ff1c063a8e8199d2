"""Ids at the edge of what they may be, and beyond."""

import pytest

from mailsettings.dialects.checkmarx.examples import STARTTLS

from support.service import SMTP_SETTINGS, Caller

IDS = ["0", "-1", "01", "+1", "1.0", "1_0", "1e0", "2147483648", "9223372036854775808", "9" * 5000]
ODD_IDS = ["%00", "%31%00", "%201", "1%20", "%EF%BC%91", "null", "NaN", "0x1", "%ff"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_what_is_no_id_finds_nothing_on_either_database(api: Caller, method: str) -> None:
    """Case 8."""
    await api.send("POST", SMTP_SETTINGS, json=STARTTLS)
    body = STARTTLS if method == "PUT" else None

    answers = {
        written: await api.send(method, f"{SMTP_SETTINGS}/{written}", json=body) for written in [*IDS, *ODD_IDS]
    }

    wrong = [written for written, answer in answers.items() if answer.status_code not in {400, 404}]
    assert wrong == []
    assert {tuple(answer.json()) for answer in answers.values()} == {("message",)}
    assert max(len(answer.text) for answer in answers.values()) < 200
    assert [view["id"] for view in (await api.send("GET", SMTP_SETTINGS)).json()] == [1]
