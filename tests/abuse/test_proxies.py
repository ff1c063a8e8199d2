"""Only configured proxies may name the address and the scheme of a client."""

from pathlib import Path

import httpx
import pytest

from support.processes import clean_environment, serving

FORGED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
HSTS = "strict-transport-security"


@pytest.mark.parametrize(
    ("trusted", "believed"),
    [("", False), ("203.0.113.0/24", False), ("127.0.0.0/8", True), ("::1/128,127.0.0.1", True)],
)
def test_forwarded_headers_are_believed_from_trusted_proxies_alone(
    tmp_path: Path, trusted: str, believed: bool
) -> None:
    environment = clean_environment(tmp_path / "data", TRUSTED_PROXIES=trusted)
    environment["FORWARDED_ALLOW_IPS"] = "*"  # uvicorn's own variable
    with serving(environment) as (url, _):
        forged = httpx.get(f"{url}/health/live", headers=FORGED)
        plain = httpx.get(f"{url}/health/live")

    # Only an answer by https has the header; who calls is taken from the same proxies by the same rule.
    assert (HSTS in forged.headers) is believed
    assert HSTS not in plain.headers
