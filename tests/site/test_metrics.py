"""The metrics over HTTP: who may read them, how many series strangers can make, and that no secret is in them."""

import random
import string

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeReport, ProbeStage, StageReport
from mailsettings.domain.findings import failure

from support.canary import Canary
from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.request_bodies import checkmarx, checkmarx_test, oracle
from support.service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, TOKEN, Caller, client_of

FAILED = ProbeReport(
    (StageReport(ProbeStage.CONNECT, Outcome.FAILED),),
    failure(FailureCode.CONNECTION_REFUSED, ProbeStage.CONNECT),
)


async def requests_of(api: Caller) -> dict[tuple[str, str, str, str], float]:
    """How many requests were counted, by API, operation, method and status."""
    text = (await api("monitoring").send("GET", "/metrics")).text
    (counted,) = [one for one in text_string_to_metric_families(text) if one.name == "mailsettings_requests"]
    labels = ("api", "operation", "method", "status")
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in counted.samples}  # type: ignore[misc]  # four of them


async def test_monitoring_may_read_them_and_nothing_else(api: Caller) -> None:
    read = await api("monitoring").send("GET", "/metrics")
    others = [await api("monitoring").send("GET", path) for path in (MAIL_SERVER, SMTP_SETTINGS, "/audit")]

    assert (read.status_code, read.headers["cache-control"]) == (200, "no-store")
    assert read.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert [answer.status_code for answer in others] == [403] * 3


async def test_openmetrics_and_gzip_are_by_request(api: Caller) -> None:
    sent = {"Accept": "application/openmetrics-text; version=1.0.0", "Accept-Encoding": "gzip"}
    plain = await api("monitoring").send("GET", "/metrics", headers={"Accept-Encoding": "identity, gzip;q=0"})
    compressed = await api("monitoring").send("GET", "/metrics", headers=sent)

    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"  # httpx decompresses it
    assert compressed.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; ")
    assert compressed.headers["vary"] == "Accept, Accept-Encoding"
    assert compressed.text.endswith("# EOF\n")


@pytest.mark.parametrize("token", ["auditor", "reader", "tester", "stranger"])
async def test_metrics_need_their_own_permission(api: Caller, token: str) -> None:
    refused = await api(token).send("GET", "/metrics")

    assert (refused.status_code, refused.json()) == (403, {"message": "This needs the permission view-metrics."})


async def test_a_stranger_learns_nothing(api: Caller) -> None:
    for path in ("/metrics", "/metrics/", "/metrics/1"):
        refused = await api(None).send("GET", path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


async def test_each_request_is_counted_under_template_of_its_route(api: Caller) -> None:
    await api.send("GET", MAIL_SERVER)
    await api.send("GET", f"{SMTP_SETTINGS}/7")
    await api.send("GET", f"//CXRESTAPI/Auth/smtpsettings/{8}?x=1")
    await api.send("PATCH", f"{SMTP_SETTINGS}/7")
    await api(None).send("GET", MAIL_SERVER)
    await api(None).send("GET", "/health/live")

    assert await requests_of(api) == {
        ("oracle-analytics", MAIL_SERVER, "GET", "404"): 1,
        ("checkmarx", f"{SMTP_SETTINGS}/{{id}}", "GET", "404"): 2,
        ("checkmarx", f"{SMTP_SETTINGS}/{{id}}", "PATCH", "405"): 1,
        ("oracle-analytics", "none", "GET", "401"): 1,
        ("site", "/health/live", "GET", "200"): 1,
    }


async def test_whatever_is_sent_makes_no_more_series(api: Caller) -> None:
    dice = random.Random(4)  # no secret

    def word() -> str:
        return "".join(dice.choices(string.ascii_letters + string.digits, k=8))

    async def send_some() -> None:
        for before in ("/", "/docs/", "/metrics/", "/audit/", f"{SMTP_SETTINGS}/", f"{MAIL_SERVER}/"):
            for caller in ("admin", None, word()):
                await api(caller).send("GET", before + word())
                await api(caller).send(word().upper(), before + word(), headers={"X-Request-ID": word()})
        for _ in range(3):
            form = {"grant_type": word(), "username": word(), "password": word()}
            await api(None).send("POST", TOKEN, data=form)

    await send_some()
    once = (await api.send("GET", "/metrics")).text.count("\n")
    await send_some()
    await send_some()
    later = (await api.send("GET", "/metrics")).text.count("\n")

    first_read_of_themselves = 2 + 9
    assert later <= once + first_read_of_themselves


async def test_they_hold_no_secret_name_or_address(api: Caller, prober: ScriptedProber, canary: Canary) -> None:
    prober.report = FAILED
    await api.send("PUT", MAIL_SERVER, json=oracle(canary.secret))
    await api.send("POST", SMTP_SETTINGS, json=checkmarx(canary.secret) | {"host": "canary.example.org"})
    await api.send("POST", f"{SMTP_SETTINGS}/testconnection", json=checkmarx_test(canary.secret))
    form = {"grant_type": "password", "username": canary.secret, "password": canary.secret}
    await api(None).send("POST", TOKEN, data=form)
    await send_everywhere(api.http, canary.secret)

    text = (await api("monitoring").send("GET", "/metrics")).text

    canary.assert_nowhere(text)
    assert 'code="connection_refused"' in text
    assert 'mailsettings_failed_logins_total{problem="wrong"} 1.0' in text
    for word in ("canary", "admin", '"monitoring"', "mailer", "example", "127.0.0.1"):
        assert word not in text


async def send_everywhere(http: httpx.AsyncClient, secret: str) -> None:
    """In path, query, headers and method."""
    escaped = secret.encode()
    headers = [(name, escaped) for name in (b"Authorization", b"X-Request-ID", b"Cookie", b"Host")]
    for path in (f"/{secret}", f"{SMTP_SETTINGS}/{secret}", f"{MAIL_SERVER}?token={secret}"):
        await http.send(http.build_request("GET", BASE_URL + path, headers=headers))


async def test_while_the_database_is_away_they_are_still_read(
    prober: ScriptedProber, local_store: LocalStore
) -> None:
    local_store.away = True
    async with client_of(local_store, prober) as api:
        away = await api.send("GET", MAIL_SERVER)
        read = await requests_of(api)

    assert away.status_code == 503
    assert read["oracle-analytics", MAIL_SERVER, "GET", "503"] == 1
