"""No connection test reaches the service's database, even with loopback and every port open."""

import httpx
import pytest
from sqlalchemy.engine import make_url

from support.service import SMTP_SETTINGS


@pytest.fixture
def kind() -> str:
    """The listening PostgreSQL."""
    return "postgresql"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::ffff:127.0.0.1"])
async def test_the_database_is_not_connected_to(
    http: httpx.AsyncClient, database_url: str, connects: list[tuple[str, int]], host: str
) -> None:
    """Case 31."""
    port = make_url(database_url).port
    settings = {"host": host, "port": port, "fromAddress": "a@example.org"}
    answer = await http.post(f"{SMTP_SETTINGS}/testconnection", json=settings)

    assert answer.status_code == 400
    assert answer.json()["report"]["failure"]["code"] == "address_not_allowed"
    assert "MAILSETTINGS" not in answer.text
    assert port not in {connected for _, connected in connects}
