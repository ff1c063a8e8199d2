"""What is counted, by whom it may be read, and what is left out when the database is away."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from mailsettings.domain.access import OPERATOR, AccountKind, Origin, Permission, Principal
from mailsettings.domain.errors import LoginRefused, PermissionDenied, StoreUnavailable, TooManyLogins
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.domain.measurement import Gauge
from mailsettings.domain.probe import ProbeReport
from mailsettings.domain.replacement import Replacement
from mailsettings.use_cases.admission import ProbeLimits
from mailsettings.use_cases.connection_test import ProbeMailServers
from mailsettings.use_cases.log_in import LogIn
from mailsettings.use_cases.mail_servers import KeepMailServers
from mailsettings.use_cases.metrics import UNMEASURED, ReadMetrics
from mailsettings.use_cases.turned_away import TurnedAway

from fakes import WORKS, InMemoryStore, NamesAsTokens, PlainPasswords, ScriptedProber

SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
WATCHED = Gauge("watched", "Something that is watched.", {("works",): 2}, ("state",))


@dataclass
class Tally:
    """Metrics that keep everything they are told."""

    told: list[object] = field(default_factory=list)

    def probed(self, source: str, report: ProbeReport) -> None:
        self.told.append((source, report))

    def login_failed(self, *, delayed: bool) -> None:
        self.told.append("delayed" if delayed else "wrong")

    async def exposition(self, gauges: Sequence[Gauge], /) -> bytes:
        return repr([gauge.name for gauge in gauges]).encode()


async def watched() -> Gauge:
    return WATCHED


async def away() -> Gauge:
    raise StoreUnavailable


async def test_they_have_a_permission_of_their_own() -> None:
    everything_else = Principal("almost", frozenset(Permission) - {Permission.METRICS_READ})
    read = ReadMetrics(Tally(), [away])

    with pytest.raises(PermissionDenied, match="metrics:read"):
        await read(everything_else)


async def test_a_source_that_cannot_say_is_left_out_and_the_others_are_told() -> None:
    assert await ReadMetrics(Tally(), [away, watched, away])(OPERATOR) == b"['watched']"


async def test_each_connection_test_is_counted_with_what_asked_for_it() -> None:
    store, tally = InMemoryStore(), Tally()
    await KeepMailServers(store).create(OPERATOR, Replacement(SERVER))
    probes = ProbeMailServers(store, ScriptedProber(), ProbeLimits(), TurnedAway(store), tally)

    await probes.given(OPERATOR, SERVER, None)
    await probes.stored(OPERATOR, 1, None)
    await probes.stored(OPERATOR, None, None)

    assert tally.told == [("given", WORKS), ("stored", WORKS), ("stored", WORKS)]


async def test_a_login_that_does_not_get_in_is_counted_and_one_that_does_is_not() -> None:
    store, tally = InMemoryStore(), Tally()
    log_in = LogIn(store, PlainPasswords(), NamesAsTokens(), TurnedAway(store), 3600, meter=tally)

    for _ in range(5):
        with pytest.raises(LoginRefused):
            await log_in(AccountKind.USER, "nobody", "wrong", Origin())
    with pytest.raises(TooManyLogins):
        await log_in(AccountKind.USER, "nobody", "wrong", Origin())

    assert tally.told == ["wrong"] * 5 + ["delayed"]


async def test_where_nobody_looks_nothing_is_counted() -> None:
    UNMEASURED.probed("given", WORKS)
    UNMEASURED.login_failed(delayed=False)

    assert await ReadMetrics(UNMEASURED)(OPERATOR) == b""
