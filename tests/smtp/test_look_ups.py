"""Failed look-ups: an unknown name, no address, and a failing or silent name server."""

import socket
import time
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.smtp.diagnosis.failures import RESOLVER_TIMEOUT_SECONDS, explain_lookup_error

from support.smtp_server import SENDER

# getaddrinfo(3), and what glibc answers for NXDOMAIN, NODATA, SERVFAIL, and a refusal by the name server.
ERRORS = {
    "no such name": (socket.EAI_NONAME, FailureCode.HOST_NOT_FOUND, "spelling"),
    "no address": (socket.EAI_NODATA, FailureCode.HOST_WITHOUT_ADDRESS, "no IPv4 or IPv6 address"),
    "SERVFAIL": (socket.EAI_AGAIN, FailureCode.NAME_SERVER_FAILED, "name server of this machine"),
    "refused": (socket.EAI_FAIL, FailureCode.NAME_SERVER_FAILED, "name server of this machine"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.shows(row[1])) for name, row in ERRORS.items()]
)
async def test_resolver_errors_have_different_codes(make_prober: Any, name: str) -> None:
    number, code, words = ERRORS[name]

    def resolve(_host: str) -> Any:
        raise socket.gaierror(number, "canary")

    failure = await failed(make_prober(resolve=resolve))

    assert (failure.code, failure.stage) == (code, ProbeStage.RESOLVE)
    assert words in f"{failure.explanation} {' '.join(map(str, failure.steps))}"
    assert "canary" not in repr(failure)
    if code is FailureCode.NAME_SERVER_FAILED:
        assert "spelling" not in repr(failure)


@pytest.mark.shows(FailureCode.NAME_SERVER_TIMED_OUT)
async def test_a_silent_name_server_is_reported_at_the_deadline(make_prober: Any) -> None:
    failure = await failed(make_prober(resolve=lambda _host: time.sleep(2), deadline_seconds=0.2))

    assert failure.code is FailureCode.NAME_SERVER_TIMED_OUT
    assert "spelling" not in repr(failure)


def test_a_resolver_timeout_is_reported_as_no_answer() -> None:
    found = explain_lookup_error(socket.gaierror(socket.EAI_AGAIN, ""), RESOLVER_TIMEOUT_SECONDS)

    assert found.code is FailureCode.NAME_SERVER_TIMED_OUT


async def failed(prober: Any) -> ProbeFailure:
    report = await prober.probe(MailServer("nowhere.example", 25, ConnectionSecurity.NONE, SENDER), None)
    assert report.failure is not None
    failure: ProbeFailure = report.failure
    return failure
